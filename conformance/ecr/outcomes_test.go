package ecr

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
)

// success is the outcome of a call that is not an exception.
const success = "success"

// outcomes are what calls have come to, by operation.
type outcomes struct {
	mu sync.Mutex
	of map[string]map[string]bool

	untyped []string
}

var seen = &outcomes{of: map[string]map[string]bool{}}

// note notes the outcome of a call by the SDK. What that does not send at all is none.
func (o *outcomes) note(operation string, err error) {
	if err == nil {
		o.add(operation, success)
		return
	}
	var e smithy.APIError
	if !errors.As(err, &e) {
		return
	}
	o.noteException(operation, e)
	if name := reflect.TypeOf(e).Elem().Name(); name != e.ErrorCode() && !common[e.ErrorCode()] {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.untyped = append(o.untyped, fmt.Sprintf("%s answers %s, of which the SDK makes a %s", operation, e.ErrorCode(), name))
	}
}

// noteException notes an exception, which the SDK may or may not have read.
func (o *outcomes) noteException(operation string, e smithy.APIError) {
	o.add(operation, e.ErrorCode())
}

func (o *outcomes) add(operation, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[operation] == nil {
		o.of[operation] = map[string]bool{}
	}
	o.of[operation][outcome] = true
}

// all says whether all tests have run.
func all() bool {
	for _, name := range []string{"test.run", "test.skip"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// check compares what was seen with what is documented.
func (o *outcomes) check() error {
	var wrong []error
	for _, u := range o.untyped {
		wrong = append(wrong, errors.New(u))
	}
	for _, operation := range slices.Sorted(maps.Keys(documented)) {
		for _, outcome := range expected(operation) {
			why := excused(operation, outcome)
			switch got := o.of[operation][outcome]; {
			case !got && why == "":
				wrong = append(wrong, fmt.Errorf("%s has never come to %s", operation, outcome))
			case got && why != "":
				wrong = append(wrong, fmt.Errorf("%s has come to %s, although the table says that it does not, because %s", operation, outcome, why))
			}
		}
		for outcome := range o.of[operation] {
			if !common[outcome] && !slices.Contains(expected(operation), outcome) {
				wrong = append(wrong, fmt.Errorf("%s has come to %s, which is not documented", operation, outcome))
			}
		}
	}
	return errors.Join(wrong...)
}

// String tells how much was seen.
func (o *outcomes) String() string {
	n, excuses := 0, 0
	for operation := range documented {
		for _, outcome := range expected(operation) {
			if excused(operation, outcome) != "" {
				excuses++
			} else {
				n++
			}
		}
	}
	return fmt.Sprintf("ecr: %d operations came to %d outcomes; %d more are documented that berth never gives", len(documented), n, excuses)
}

// expected are the documented outcomes of an operation.
func expected(operation string) []string {
	list := []string{success, "ServerException"}
	for _, name := range strings.Fields(documented[operation]) {
		if long, ok := abbreviated[name]; ok {
			name = long
		}
		list = append(list, name+"Exception")
	}
	return list
}

// excused is why an operation never comes to an outcome; empty if it has to.
func excused(operation, outcome string) string {
	for _, x := range notGiven {
		if (x.operations == "" || slices.Contains(strings.Fields(x.operations), operation)) &&
			slices.Contains(strings.Fields(x.outcomes), strings.TrimSuffix(outcome, "Exception")) {
			return x.why
		}
	}
	return ""
}

// operations are the names of the client's.
func operations() (names []string) {
	client := reflect.TypeFor[*sdk.Client]()
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() == 4 && m.Type.In(2).Kind() == reflect.Pointer && strings.HasSuffix(m.Type.In(2).Elem().Name(), "Input") {
			names = append(names, m.Name)
		}
	}
	return names
}

// TestOperations: the table and the inputs are of all operations that the client has.
func TestOperations(t *testing.T) {
	known := operations()
	if len(known) != 62 {
		t.Errorf("the client has %d operations", len(known))
	}
	if listed := slices.Sorted(maps.Keys(documented)); !slices.Equal(listed, known) {
		t.Errorf("documented:\n%v\noperations:\n%v", listed, known)
	}
	if listed := slices.Sorted(maps.Keys(inputs())); !slices.Equal(listed, known) {
		t.Errorf("inputs:\n%v\noperations:\n%v", listed, known)
	}
}

// TestExcuses: each excuse is of something documented.
func TestExcuses(t *testing.T) {
	for _, x := range notGiven {
		for _, outcome := range strings.Fields(x.outcomes) {
			used := slices.ContainsFunc(slices.Collect(maps.Keys(documented)), func(operation string) bool {
				return (x.operations == "" || slices.Contains(strings.Fields(x.operations), operation)) &&
					(outcome == success || slices.Contains(expected(operation), outcome+"Exception"))
			})
			if !used {
				t.Errorf("no operation of %q documents %s", x.operations, outcome)
			}
		}
		for _, operation := range strings.Fields(x.operations) {
			if documented[operation] == "" {
				t.Errorf("there is no operation %s", operation)
			}
		}
	}
}
