package credhelper

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
)

// loadProfile returns what both files say of a profile, nil if neither has it. What stands
// in the file of credentials counts more. A file that is not there is like an empty one.
func loadProfile(config, credentials, name string) (map[string]string, error) {
	inConfig := func(section string) bool {
		if section == defaultProfile {
			return name == defaultProfile
		}
		kind, rest, _ := strings.Cut(section, " ")
		return kind == "profile" && unquote(strings.TrimSpace(rest)) == name
	}
	p, err := readProfile(config, inConfig)
	if err != nil {
		return nil, err
	}
	more, err := readProfile(credentials, func(section string) bool { return unquote(section) == name })
	if err != nil {
		return nil, err
	}
	if p == nil {
		return more, nil
	}
	maps.Copy(p, more)
	return p, nil
}

// readProfile returns the settings of the sections that are wanted, nil if there are none.
func readProfile(path string, wanted func(section string) bool) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the profiles of the aws CLI cannot be read: %w", err)
	}
	var settings map[string]string
	inside := false
	for line := range strings.Lines(string(content)) {
		// An indented line belongs to the setting above, which is none that we know.
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			continue
		}
		line = strings.TrimSpace(uncommented(strings.TrimPrefix(line, "\ufeff")))
		if section, ok := strings.CutPrefix(line, "["); ok {
			section, _, _ = strings.Cut(section, "]")
			inside = wanted(strings.TrimSpace(section))
			if inside && settings == nil {
				settings = map[string]string{}
			}
			continue
		}
		if name, value, found := strings.Cut(line, "="); found && inside {
			settings[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return settings, nil
}

// uncommented is a line without its comment, which begins the line or follows a space.
func uncommented(line string) string {
	for i, c := range line {
		if (c == '#' || c == ';') && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
