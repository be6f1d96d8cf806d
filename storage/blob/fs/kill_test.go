package fs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"berth/storage/blob"
)

// killFolder is set in the process that TestKill kills.
const killFolder = "BERTH_TEST_KILL_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killFolder); dir != "" {
		fmt.Fprintln(os.Stderr, writeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestKill kills a process that writes objects, again and again. What it said to be
// committed or suspended must be there; all that looks committed must be whole. (The
// kernel survives, so this is not about what fsync does: see TestFailedSync.)
func TestKill(t *testing.T) {
	dir := t.TempDir()
	total := 0
	for range 20 {
		total += killOnce(t, dir)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d objects were acknowledged", total)
}

func killOnce(t *testing.T, dir string) (acknowledged int) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), killFolder+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{Reserve: -1})
	states := make(map[blob.Key]string)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acknowledged == 0 {
			time.AfterFunc(rand.N(50*time.Millisecond), func() { child.Process.Kill() })
		}
		acknowledged++
		var key blob.Key
		var state string
		fmt.Sscan(lines.Text(), &key, &state)
		if states[key] = state; state != "committed" {
			continue
		}
		if err := whole(s, key); err != nil {
			t.Errorf("acknowledged as committed: %v", err)
		}
	}
	child.Wait()
	if acknowledged == 0 {
		t.Fatal("the process wrote nothing")
	}
	for o, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Committed {
			if err := whole(s, o.Key); err != nil {
				t.Errorf("All: %v", err)
			}
			// If killed between the rename and the line, it goes on as garbage.
			delete(states, o.Key)
		}
	}
	for key, state := range states {
		if state == "committed" {
			t.Errorf("%s was committed and is not in All", key)
			continue
		}
		if err := finish(s, key, state); err != nil {
			t.Errorf("%s, suspended at %s: %v", key, state, err)
		}
	}
	return acknowledged
}

// writeForever writes objects and says so, one line for each thing that is done.
func writeForever(dir string) error {
	s, err := Open(dir, Options{Reserve: -1})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				if err := writeAloud(s, blob.NewKey()); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

func writeAloud(s *Store, key blob.Key) error {
	b := contentOf(key)
	w, err := s.Create(context.Background(), key)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), 1+rand.IntN(60_000))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		if rand.IntN(4) > 0 {
			continue
		}
		state, err := w.Suspend(context.Background())
		if err != nil {
			return err
		}
		say(key, string(state))
		if w, err = s.Resume(context.Background(), key, state); err != nil {
			return err
		}
	}
	if err := w.Commit(context.Background()); err != nil {
		return err
	}
	say(key, "committed")
	return nil
}

// say writes a line at once, which is all or nothing for a pipe.
func say(key blob.Key, what string) {
	os.Stdout.WriteString(string(key) + " " + what + "\n")
}

// contentOf is what belongs under a key: the key alone tells, length included.
func contentOf(key blob.Key) []byte {
	var seed [32]byte
	copy(seed[:], key[3:])
	b := make([]byte, binary.LittleEndian.Uint32(seed[:])%100_000)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func whole(s *Store, key blob.Key) error {
	got, err := os.ReadFile(s.object(key))
	if err != nil {
		return err
	}
	if want := contentOf(key); !bytes.Equal(got, want) {
		return fmt.Errorf("%s has %d bytes that are not the %d it should have", key, len(got), len(want))
	}
	return nil
}

// finish resumes an object, writes the rest and commits it.
func finish(s *Store, key blob.Key, state string) error {
	w, err := s.Resume(context.Background(), key, []byte(state))
	if err != nil {
		return err
	}
	defer w.Close()
	var offset int
	if _, err := fmt.Fscan(strings.NewReader(state), &offset); err != nil {
		return err
	}
	if _, err := w.Write(contentOf(key)[offset:]); err != nil {
		return err
	}
	if err := w.Commit(context.Background()); err != nil {
		return err
	}
	return whole(s, key)
}
