package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"berth/lifecycle"
)

// document is a policy of these rules.
func document(rules ...string) string { return `{"rules":[` + strings.Join(rules, ",") + `]}` }

// rule is the JSON of a rule.
func rule(priority int, selection, action string) string {
	return fmt.Sprintf(`{"rulePriority":%d,"selection":{%s},"action":{%s}}`, priority, selection, action)
}

// The parts of rules.
const (
	expire   = `"type":"expire"`
	archive  = `"type":"transition","targetStorageClass":"archive"`
	one      = `"countType":"imageCountMoreThan","countNumber":1`
	pushed   = `"countType":"sinceImagePushed","countUnit":"days","countNumber":1`
	pulled   = `"countType":"sinceImagePulled","countUnit":"days","countNumber":1`
	archived = `"countType":"sinceImageTransitioned","countUnit":"days","countNumber":90,"storageClass":"archive"`
	anyImage = `"tagStatus":"any",`
	untagged = `"tagStatus":"untagged",`
	tagged   = `"tagStatus":"tagged",`
	patternA = `"tagPatternList":["a"],`
	prefixA  = `"tagPrefixList":["a"],`
)

// example is the document that the description of the language begins with.
const example = `{"rules": [
  {"rulePriority": 1,
   "description": "keep the last five releases",
   "selection": {
     "tagStatus": "tagged",
     "tagPatternList": ["release-*"],
     "storageClass": "standard",
     "countType": "imageCountMoreThan",
     "countNumber": 5},
   "action": {"type": "expire"}},
  {"rulePriority": 2,
   "selection": {"tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 90},
   "action": {"type": "transition", "targetStorageClass": "archive"}}
]}
`

var accepted = []struct{ name, text string }{
	{"example", example},
	{"count, expire", document(rule(1, anyImage+one, expire))},
	{"count, transition", document(rule(1, anyImage+one, archive))},
	{"pushed, expire", document(rule(1, anyImage+pushed, expire))},
	{"pushed, transition", document(rule(1, anyImage+pushed, archive))},
	{"pulled, transition", document(rule(1, anyImage+pulled, archive))},
	{"archived, expire", document(rule(1, anyImage+archived, expire))},
	{"standard is the default", document(rule(1, `"storageClass":"standard",`+anyImage+one, expire))},
	{"gaps and any order", document(rule(70, anyImage+one, expire), rule(3, untagged+one, expire))},
	{"any of each class", document(rule(2, anyImage+one, expire), rule(1, anyImage+archived, expire))},
	{"any before rules of the other class", document(rule(1, anyImage+one, expire), rule(2, untagged+archived, expire))},
	{"untagged of each class", document(rule(1, untagged+one, expire), rule(2, untagged+archived, expire))},
	{"a list in each class", document(rule(1, tagged+patternA+one, expire), rule(2, tagged+patternA+archived, expire))},
	{"patterns and prefixes in different rules", document(rule(1, tagged+patternA+one, expire), rule(2, tagged+prefixA+one, expire))},
	{"a list and a longer one", document(rule(1, tagged+patternA+one, expire), rule(2, tagged+`"tagPatternList":["a","b"],`+one, expire))},
	{"four stars", document(rule(1, tagged+`"tagPatternList":["*test*1*2*3"],`+one, expire))},
	{"stars in prefixes are letters", document(rule(1, tagged+`"tagPrefixList":["*****"],`+one, expire))},
	{"numbers as large as they get", document(rule(2147483647, anyImage+`"countType":"imageCountMoreThan","countNumber":2147483647`, expire))},
	{"50 rules", document(rules(50)...)},
	{"30,720 characters", pad(document(rule(1, anyImage+one, expire)), lifecycle.MaxLength)},
	{"characters are no bytes", strings.Replace(example, "keep the last", strings.Repeat("é", 30_000), 1)},
	{"a list with groups and without", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.)"}`), rule(2, tagged+patternA+pushed, expire))},
	{"a list with one kind of groups and another", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.)"}`), withBerth(rule(2, tagged+patternA+one, expire), `{"countPerGroup":"(.)."}`))},
	{"all of berth in a rule", document(withBerth(rule(1, tagged+patternA+one, expire), `{"tagsOnly":true,"countPerGroup":"(.+)-\\d+","expireByPull":false}`))},
	{"all of berth in a policy", withBerth(document(rule(1, anyImage+one, expire)), `{"keepPulledDays":1,"keepRunning":true,"maxDeletes":"100%"}`)},
	{"50 rules with groups", document(grouped(`(.+)-[0-9]+`, 50)...)},
	{"groups as large as they get", document(grouped(`(a{95})`, 5)...)},
	{"escaped names", strings.Replace(document(rule(1, anyImage+one, expire)), "rules", `rul\u0065s`, 1)},
}

// rules are n rules that get along.
func rules(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = rule(i+1, fmt.Sprintf(`"tagStatus":"tagged","tagPrefixList":["v%d"],`, i)+one, expire)
	}
	return all
}

// grouped are n rules that count in groups, each of its own prefix.
func grouped(expression string, n int) []string {
	all := rules(n)
	for i := range all {
		all[i] = withBerth(all[i], fmt.Sprintf(`{"countPerGroup":%q}`, expression))
	}
	return all
}

func pad(text string, length int) string { return text + strings.Repeat(" ", length-len(text)) }

func TestParse(t *testing.T) {
	for _, test := range accepted {
		p, err := lifecycle.Parse(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if p.Text != test.text {
			t.Errorf("%s: the text is another now", test.name)
		}
	}
}

func TestRules(t *testing.T) {
	p, err := lifecycle.Parse(document(rule(9, anyImage+pulled, archive), rule(2, tagged+`"tagPrefixList":["b","a"],`+one, expire),
		`{"action":{"type":"expire"},"selection":{`+untagged+archived+`},"description":"old","rulePriority":5}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range p.Rules() {
		got = append(got, fmt.Sprintln(r.Priority, r.Description, r.TagStatus, r.TagPatterns, r.TagPrefixes, r.Class, r.CountType, r.CountNumber, r.Action))
	}
	want := []string{
		"2  tagged [] [b a] standard imageCountMoreThan 1 expire\n",
		"5 old untagged [] [] archive sinceImageTransitioned 90 expire\n",
		"9  any [] [] standard sinceImagePulled 1 transition\n",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, test := range accepted {
		f.Add(test.text)
	}
	for _, test := range refused {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := lifecycle.Parse(text)
		if err != nil {
			invalid, ok := errors.AsType[*lifecycle.InvalidError](err)
			if p != nil || !ok || len(invalid.Problems) == 0 {
				t.Fatalf("%v, %v", p, err)
			}
			if len(err.Error()) > 10_000 {
				t.Fatalf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		if p.Text != text {
			t.Fatal("the text is another now")
		}
		var spread, tight bytes.Buffer
		if err := errors.Join(json.Indent(&spread, []byte(text), "", "\t"), json.Compact(&tight, []byte(text))); err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{spread.String(), tight.String()} {
			if len(again) > lifecycle.MaxLength {
				continue
			}
			if q, err := lifecycle.Parse(again); err != nil || !reflect.DeepEqual(p.Rules(), q.Rules()) {
				t.Fatalf("written %s: %v, %v", again, q, err)
			}
		}
	})
}
