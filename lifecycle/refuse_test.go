package lifecycle_test

import (
	"errors"
	"strings"
	"testing"

	"berth/lifecycle"
)

// What Amazon ECR says, and where the documentation knows its words.
const (
	unreadable   = "Could not map policyString into LifecyclePolicy"
	ofSelections = "instance failed to match exactly one schema (matched 0 out of 4)"
	ofActions    = "instance failed to match exactly one schema (matched 0 out of 2)"
	notObject    = `does not match any allowed primitive type (allowed: ["object"])`
	notInteger   = `does not match any allowed primitive type (allowed: ["integer"])`
	notString    = `does not match any allowed primitive type (allowed: ["string"])`
	notBoolean   = `does not match any allowed primitive type (allowed: ["boolean"])`
	notArray     = `does not match any allowed primitive type (allowed: ["array"])`
	tagStatuses  = `not found in enum :(possible values: ["any", "tagged", "untagged"])`
)

var refused = []struct{ name, text, says, where string }{
	{"empty", ``, unreadable, "the document"},
	{"no JSON", `rules`, unreadable, "the document"},
	{"cut short", `{"rules":[`, unreadable, "the document"},
	{"more behind", document(rule(1, anyImage+one, expire)) + `{}`, unreadable, "the document"},
	{"not UTF-8", strings.Replace(example, "release", "\xff", 1), unreadable, "the document"},
	{"rules twice", `{"rules":[],"rules":[]}`, unreadable, "the document"},
	{"twice by an escape", `{"rules":[],"rul\u0065s":[]}`, unreadable, "the document"},
	{"deep", strings.Repeat("[", 15_000), unreadable, "the document"},
	{"deep within", `{"rules":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`, "instance type (array) " + notObject, "rule #1"},
	{"too long", pad(document(rule(1, anyImage+one, expire)), lifecycle.MaxLength+1), "the text has 30721 characters", "the document"},
	{"list", `[]`, "instance type (array) " + notObject, "the document"},
	{"string", `"rules"`, "instance type (string) " + notObject, "the document"},
	{"null", `null`, "instance type (null) " + notObject, "the document"},
	{"no rules", `{}`, `object has missing required properties (["rules"])`, "the document"},
	{"rules in another case", `{"Rules":[],` + document(rule(1, anyImage+one, expire))[1:], `object instance has properties which are not allowed by the schema: (["Rules"])`, "the document"},
	{"rules null", `{"rules":null}`, "instance type (null) " + notArray, "the document, rules"},
	{"rules object", `{"rules":{}}`, "instance type (object) " + notArray, "the document, rules"},
	{"empty rules", `{"rules":[]}`, "array is too short: must have at least 1 elements but instance has 0 elements", "the document, rules"},
	{"51 rules", document(rules(51)...), "array is too long: must have at most 50 elements but instance has 51 elements", "the document, rules"},
	{"100 rules", document(rules(100)...), "array is too long: must have at most 50 elements but instance has 100 elements", "the document, rules"},
	{"unknown member", `{"version":1,` + document(rule(1, anyImage+one, expire))[1:], `object instance has properties which are not allowed by the schema: (["version"])`, "the document"},

	{"rule null", document(`null`), "instance type (null) " + notObject, "rule #1"},
	{"empty rule", document(`{}`), `object has missing required properties (["action", "rulePriority", "selection"])`, "rule #1"},
	{"unknown members of a rule", document(`{"foo":1,"bar":2,` + rule(1, anyImage+one, expire)[1:]), `not allowed by the schema: (["bar", "foo"])`, "rule #1"},
	{"priority twice", document(`{"rulePriority":1,` + rule(1, anyImage+one, expire)[1:]), unreadable, "rule #1"},
	{"priority 0", document(rule(0, anyImage+one, expire)), "numeric instance is lower than the required minimum (minimum: 1, found: 0)", "rule #1, rulePriority"},
	{"priority -1", document(rule(-1, anyImage+one, expire)), "(minimum: 1, found: -1)", "rule #1, rulePriority"},
	{"priority too large", document(strings.Replace(rule(1, anyImage+one, expire), "1", "2147483648", 1)), "numeric instance is greater than the required maximum (maximum: 2147483647, found: 2147483648)", "rule #1, rulePriority"},
	{"priority beyond numbers", document(strings.Replace(rule(1, anyImage+one, expire), "1", strings.Repeat("9", 400), 1)), "greater than the required maximum", "rule #1, rulePriority"},
	{"priority far below", document(strings.Replace(rule(1, anyImage+one, expire), "1", "-"+strings.Repeat("9", 400), 1)), "lower than the required minimum", "rule #1, rulePriority"},
	{"priority 1.0", document(strings.Replace(rule(1, anyImage+one, expire), "1", "1.0", 1)), "instance type (number) " + notInteger, "rule #1, rulePriority"},
	{"priority 1e0", document(strings.Replace(rule(1, anyImage+one, expire), "1", "1e0", 1)), "instance type (number) " + notInteger, "rule #1, rulePriority"},
	{"priority string", document(strings.Replace(rule(1, anyImage+one, expire), "1", `"1"`, 1)), "instance type (string) " + notInteger, "rule #1, rulePriority"},
	{"priority null", document(strings.Replace(rule(1, anyImage+one, expire), "1", `null`, 1)), "instance type (null) " + notInteger, "rule #1, rulePriority"},
	{"description null", document(`{"description":null,` + rule(1, anyImage+one, expire)[1:]), "instance type (null) " + notString, "rule #1 (rulePriority 1), description"},
	{"description list", document(`{"description":["x"],` + rule(1, anyImage+one, expire)[1:]), "instance type (array) " + notString, "rule #1 (rulePriority 1), description"},

	{"selection list", document(`{"rulePriority":1,"selection":[],"action":{"type":"expire"}}`), "instance type (array) " + notObject, "rule #1 (rulePriority 1), selection"},
	{"empty selection", document(rule(1, ``, expire)), `object has missing required properties (["countNumber", "countType", "tagStatus"])`, "rule #1 (rulePriority 1), selection"},
	{"unknown member of a selection", document(rule(1, `"tagStatuses":1,`+anyImage+one, expire)), `not allowed by the schema: (["tagStatuses"])`, "rule #1 (rulePriority 1), selection"},
	{"status twice", document(rule(1, anyImage+anyImage+one, expire)), unreadable, "rule #1 (rulePriority 1), selection"},
	{"status foo", document(rule(1, `"tagStatus":"foo",`+one, expire)), `instance value (foo) ` + tagStatuses, "selection.tagStatus"},
	{"status of two lines", document(rule(1, `"tagStatus":"any\nx",`+one, expire)), `instance value (any\nx) ` + tagStatuses, "selection.tagStatus"},
	{"status list", document(rule(1, `"tagStatus":["any",`+"\n"+`"x"],`+one, expire)), `instance value (["any", "x"]) ` + tagStatuses, "selection.tagStatus"},
	{"status in upper case", document(rule(1, `"tagStatus":"ANY",`+one, expire)), `instance value (ANY) ` + tagStatuses, "selection.tagStatus"},
	{"status null", document(rule(1, `"tagStatus":null,`+one, expire)), `instance value (null) ` + tagStatuses, "selection.tagStatus"},
	{"status number", document(rule(1, `"tagStatus":7,`+one, expire)), `instance value (7) ` + tagStatuses, "selection.tagStatus"},

	{"tagged without a list", document(rule(1, tagged+one, expire)), "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED", "rule #1 (rulePriority 1), selection"},
	{"both lists", document(rule(1, tagged+patternA+prefixA+one, expire)), "Must specify only one of tagPrefixList and tagPatternList", "selection"},
	{"any with patterns", document(rule(1, anyImage+patternA+one, expire)), "tagPrefixList or tagPatternList must not be specified when tagStatus=ANY", "selection"},
	{"any with prefixes", document(rule(1, anyImage+prefixA+one, expire)), "tagPrefixList or tagPatternList must not be specified when tagStatus=ANY", "selection"},
	{"untagged with patterns", document(rule(1, untagged+patternA+one, expire)), "tagPrefixList or tagPatternList must not be specified when tagStatus=UNTAGGED", "selection"},
	{"any with an empty list", document(rule(1, anyImage+`"tagPatternList":[],`+one, expire)), "array is too short: must have at least 1 elements", "selection.tagPatternList"},
	{"any with null", document(rule(1, anyImage+`"tagPrefixList":null,`+one, expire)), ofSelections, "selection.tagPrefixList"},
	{"tagged with an empty list", document(rule(1, tagged+`"tagPrefixList":[],`+one, expire)), "array is too short: must have at least 1 elements", "selection.tagPrefixList"},
	{"tagged with null", document(rule(1, tagged+`"tagPatternList":null,`+one, expire)), ofSelections, "selection.tagPatternList"},
	{"tagged with null beside", document(rule(1, tagged+patternA+`"tagPrefixList":null,`+one, expire)), ofSelections, "selection.tagPrefixList"},
	{"pattern string", document(rule(1, tagged+`"tagPatternList":"a",`+one, expire)), "instance type (string) " + notArray, "selection.tagPatternList"},
	{"pattern number", document(rule(1, tagged+`"tagPatternList":["a",1],`+one, expire)), "instance type (integer) " + notString, "selection.tagPatternList"},
	{"pattern null", document(rule(1, tagged+`"tagPatternList":[null],`+one, expire)), "instance type (null) " + notString, "selection.tagPatternList"},
	{"five stars", document(rule(1, tagged+`"tagPatternList":["a","test*1*2*3*4*5*6"],`+one, expire)), "at most 4 wildcards (*), found: 6", "selection.tagPatternList"},

	{"count with days", document(rule(1, anyImage+`"countUnit":"days",`+one, expire)), ofSelections, "selection.countUnit"},
	{"count with null", document(rule(1, anyImage+`"countUnit":null,`+one, expire)), ofSelections, "selection.countUnit"},
	{"pushed without days", document(rule(1, anyImage+`"countType":"sinceImagePushed","countNumber":1`, expire)), ofSelections, "selection.countUnit"},
	{"pulled without days", document(rule(1, anyImage+`"countType":"sinceImagePulled","countNumber":1`, archive)), ofSelections, "selection.countUnit"},
	{"archived without days", document(rule(1, anyImage+`"countType":"sinceImageTransitioned","storageClass":"archive","countNumber":90`, expire)), ofSelections, "selection.countUnit"},
	{"hours", document(rule(1, anyImage+strings.Replace(pushed, "days", "hours", 1), expire)), `instance value (hours) not found in enum :(possible values: ["days"])`, "selection.countUnit"},
	{"unknown count type", document(rule(1, anyImage+`"countType":"sinceImageBuilt","countNumber":1`, expire)), ofSelections, "selection.countType"},
	{"count type number", document(rule(1, anyImage+`"countType":1,"countNumber":1`, expire)), "instance type (integer) " + notString, "selection.countType"},
	{"count 0", document(rule(1, anyImage+`"countType":"imageCountMoreThan","countNumber":0`, expire)), "numeric instance is lower than the required minimum (minimum: 1, found: 0)", "selection.countNumber"},
	{"0 days", document(rule(1, anyImage+strings.Replace(pushed, "1", "0", 1), expire)), "(minimum: 1, found: 0)", "selection.countNumber"},
	{"archived 89 days", document(rule(1, anyImage+strings.Replace(archived, "90", "89", 1), expire)), "numeric instance is lower than the required minimum (minimum: 90, found: 89)", "selection.countNumber"},

	{"count in the archive", document(rule(1, anyImage+`"storageClass":"archive",`+one, expire)), ofSelections, "selection.storageClass"},
	{"pushed in the archive", document(rule(1, anyImage+`"storageClass":"archive",`+pushed, expire)), ofSelections, "selection.storageClass"},
	{"pulled in the archive", document(rule(1, anyImage+`"storageClass":"archive",`+pulled, archive)), ofSelections, "selection.storageClass"},
	{"archived, no class", document(rule(1, anyImage+strings.Replace(archived, `,"storageClass":"archive"`, "", 1), expire)), ofSelections, "selection.storageClass"},
	{"archived, standard", document(rule(1, anyImage+strings.Replace(archived, `"archive"`, `"standard"`, 1), expire)), ofSelections, "selection.storageClass"},
	{"class null", document(rule(1, anyImage+`"storageClass":null,`+one, expire)), ofSelections, "selection.storageClass"},
	{"class foo", document(rule(1, anyImage+`"storageClass":"glacier",`+one, expire)), `instance value (glacier) not found in enum :(possible values: ["standard", "archive"])`, "selection.storageClass"},

	{"action string", document(`{"rulePriority":1,"selection":{` + anyImage + one + `},"action":"expire"}`), "instance type (string) " + notObject, "rule #1 (rulePriority 1), action"},
	{"no type", document(rule(1, anyImage+one, ``)), `object has missing required properties (["type"])`, "rule #1 (rulePriority 1), action"},
	{"type foo", document(rule(1, anyImage+one, `"type":"keep"`)), `instance value (keep) not found in enum :(possible values: ["expire", "transition"])`, "action.type"},
	{"type null", document(rule(1, anyImage+one, `"type":null`)), `instance value (null) not found in enum :(possible values: ["expire", "transition"])`, "action.type"},
	{"unknown member of an action", document(rule(1, anyImage+one, expire+`,"force":true`)), `not allowed by the schema: (["force"])`, "action"},
	{"expire with a target", document(rule(1, anyImage+one, expire+`,"targetStorageClass":"archive"`)), ofActions, "action.targetStorageClass"},
	{"expire with null", document(rule(1, anyImage+one, expire+`,"targetStorageClass":null`)), ofActions, "action.targetStorageClass"},
	{"transition without a target", document(rule(1, anyImage+one, `"type":"transition"`)), ofActions, "action.targetStorageClass"},
	{"transition to null", document(rule(1, anyImage+one, `"type":"transition","targetStorageClass":null`)), ofActions, "action.targetStorageClass"},
	{"transition to standard", document(rule(1, anyImage+one, `"type":"transition","targetStorageClass":"standard"`)), `instance value (standard) not found in enum :(possible values: ["archive"])`, "action.targetStorageClass"},
	{"pulled, expire", document(rule(1, anyImage+pulled, expire)), "countType=sinceImagePulled can only be used with the action type transition", "action.type"},
	{"archived, transition", document(rule(1, anyImage+archived, archive)), "countType=sinceImageTransitioned can only be used with the action type expire", "action.type"},

	{"priority used twice", document(rule(4, untagged+one, expire), rule(4, anyImage+one, expire)), "Rule priorities must be unique", "rule #2 (rulePriority 4)"},
	{"two untagged", document(rule(1, untagged+one, expire), rule(2, untagged+pushed, expire)), "Only one rule can select Untagged images per storage class", "rule #2 (rulePriority 2), selection.tagStatus"},
	{"two untagged of the archive", document(rule(1, untagged+archived, expire), rule(2, untagged+archived, expire)), "Only one rule can select Untagged images per storage class", "rule #2 (rulePriority 2), selection.tagStatus"},
	{"any not last", document(rule(1, anyImage+one, expire), rule(2, untagged+one, expire)), "Rule for tagStatus=ANY must have the lowest priority per storage class", "rule #1 (rulePriority 1), selection.tagStatus"},
	{"any last in the text only", document(rule(2, untagged+one, expire), rule(1, anyImage+one, expire)), "Rule for tagStatus=ANY must have the lowest priority per storage class", "rule #2 (rulePriority 1), selection.tagStatus"},
	{"two any", document(rule(1, anyImage+one, expire), rule(2, anyImage+pushed, archive)), "Rule for tagStatus=ANY must have the lowest priority per storage class", "rule #1 (rulePriority 1), selection.tagStatus"},
	{"two any of the archive", document(rule(1, anyImage+archived, expire), rule(2, anyImage+archived, expire)), "Rule for tagStatus=ANY must have the lowest priority per storage class", "rule #1 (rulePriority 1), selection.tagStatus"},
	{"patterns twice", document(rule(1, tagged+patternA+one, expire), rule(2, tagged+patternA+pulled, archive)), "A tagPrefixList or tagPatternList can only be used by one rule per storage class", "rule #2 (rulePriority 2), selection"},
	{"patterns twice, the first without groups", document(withBerth(rule(2, tagged+patternA+one, expire), `{"countPerGroup":"(.)"}`), rule(1, tagged+patternA+one, expire)), "A tagPrefixList or tagPatternList can only be used by one rule per storage class", "rule #2 (rulePriority 1), selection"},
	{"patterns twice, with the same groups", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.)"}`), withBerth(rule(2, tagged+patternA+one, expire), `{"countPerGroup":"(.)"}`)), "A tagPrefixList or tagPatternList can only be used by one rule per storage class", "rule #2 (rulePriority 2), selection"},
	{"patterns twice, one for tags", document(withBerth(rule(1, tagged+patternA+one, expire), `{"tagsOnly":true}`), rule(2, tagged+patternA+pushed, expire)), "A tagPrefixList or tagPatternList can only be used by one rule per storage class", "rule #2 (rulePriority 2), selection"},
	{"prefixes twice, in another order", document(rule(1, tagged+`"tagPrefixList":["a","b"],`+one, expire), rule(2, tagged+`"tagPrefixList":["b","a","b"],`+one, expire)), "A tagPrefixList or tagPatternList can only be used by one rule per storage class", "rule #2 (rulePriority 2), selection"},

	{"berth of a policy: list", withBerth(document(rule(1, anyImage+one, expire)), `[]`), "instance type (array) " + notObject, "the document, berth"},
	{"berth of a policy: null", withBerth(document(rule(1, anyImage+one, expire)), `null`), "instance type (null) " + notObject, "the document, berth"},
	{"berth of a policy: unknown", withBerth(document(rule(1, anyImage+one, expire)), `{"keepPulled":1}`), `not allowed by the schema: (["keepPulled"]); in the document, berth: allowed are keepPulledDays, keepRunning, maxDeletes, written exactly so`, "the document, berth"},
	{"berth of a policy: a rule's", withBerth(document(rule(1, anyImage+one, expire)), `{"tagsOnly":true}`), `not allowed by the schema: (["tagsOnly"])`, "the document, berth"},
	{"berth of a policy: twice", withBerth(document(rule(1, anyImage+one, expire)), `{"keepRunning":true,"keepRunning":true}`), unreadable, "the document, berth"},
	{"berth twice", withBerth(withBerth(document(rule(1, anyImage+one, expire)), `{}`), `{}`), unreadable, "the document"},
	{"berth in another case", strings.Replace(withBerth(document(rule(1, anyImage+one, expire)), `{}`), "berth", "Berth", 1), `not allowed by the schema: (["Berth"])`, "the document"},
	{"berth of a selection", document(rule(1, `"berth":{},`+anyImage+one, expire)), `not allowed by the schema: (["berth"])`, "rule #1 (rulePriority 1), selection"},
	{"keep pulled 0 days", withBerth(document(rule(1, anyImage+one, expire)), `{"keepPulledDays":0}`), "(minimum: 1, found: 0)", "the document, berth.keepPulledDays"},
	{"keep pulled too long", withBerth(document(rule(1, anyImage+one, expire)), `{"keepPulledDays":2147483648}`), "(maximum: 2147483647, found: 2147483648)", "the document, berth.keepPulledDays"},
	{"keep pulled string", withBerth(document(rule(1, anyImage+one, expire)), `{"keepPulledDays":"30"}`), "instance type (string) " + notInteger, "the document, berth.keepPulledDays"},
	{"keep running string", withBerth(document(rule(1, anyImage+one, expire)), `{"keepRunning":"prod"}`), "instance type (string) " + notBoolean, "the document, berth.keepRunning"},
	{"keep running null", withBerth(document(rule(1, anyImage+one, expire)), `{"keepRunning":null}`), "instance type (null) " + notBoolean, "the document, berth.keepRunning"},
	{"no deletes", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":0}`), "(minimum: 1, found: 0)", "the document, berth.maxDeletes"},
	{"half a delete", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":0.5}`), "instance value (0.5) is no limit", "the document, berth.maxDeletes"},
	{"deletes without percent", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"10"}`), "instance value (10) is no limit", "the document, berth.maxDeletes"},
	{"0%", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"0%"}`), "instance value (0%) is no limit", "the document, berth.maxDeletes"},
	{"101%", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"101%"}`), "instance value (101%) is no limit", "the document, berth.maxDeletes"},
	{"257%", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"257%"}`), "instance value (257%) is no limit", "the document, berth.maxDeletes"},
	{"-1%", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"-1%"}`), "instance value (-1%) is no limit", "the document, berth.maxDeletes"},
	{"2.5%", withBerth(document(rule(1, anyImage+one, expire)), `{"maxDeletes":"2.5%"}`), "instance value (2.5%) is no limit", "the document, berth.maxDeletes"},

	{"berth of a rule: string", document(withBerth(rule(1, anyImage+one, expire), `"x"`)), "instance type (string) " + notObject, "rule #1 (rulePriority 1), berth"},
	{"berth of a rule: unknown", document(withBerth(rule(1, anyImage+one, expire), `{"tagOnly":true}`)), `not allowed by the schema: (["tagOnly"]); in rule #1 (rulePriority 1), berth: allowed are tagsOnly, countPerGroup, expireByPull, written exactly so`, "rule #1 (rulePriority 1), berth"},
	{"tags only, number", document(withBerth(rule(1, tagged+patternA+one, expire), `{"tagsOnly":1}`)), "instance type (integer) " + notBoolean, "berth.tagsOnly"},
	{"tags only of any", document(withBerth(rule(1, anyImage+one, expire), `{"tagsOnly":true}`)), "tagsOnly can only be used with tagStatus=tagged", "rule #1 (rulePriority 1), berth.tagsOnly"},
	{"tags only of untagged", document(withBerth(rule(1, untagged+one, expire), `{"tagsOnly":true}`)), "tagsOnly can only be used with tagStatus=tagged", "berth.tagsOnly"},
	{"tags only, archived", document(withBerth(rule(1, tagged+patternA+one, archive), `{"tagsOnly":true}`)), "tagsOnly can only be used with the action type expire", "berth.tagsOnly"},
	{"by pull, list", document(withBerth(rule(1, anyImage+pulled, archive), `{"expireByPull":[]}`)), "instance type (array) " + notBoolean, "berth.expireByPull"},
	{"by pull, pushed", document(withBerth(rule(1, anyImage+pushed, expire), `{"expireByPull":true}`)), "expireByPull can only be used with countType=sinceImagePulled and the action type expire", "berth.expireByPull"},
	{"by pull, archived", document(withBerth(rule(1, anyImage+pulled, archive), `{"expireByPull":true}`)), "expireByPull can only be used with countType=sinceImagePulled and the action type expire", "berth.expireByPull"},
	{"by pull, not meant", document(withBerth(rule(1, anyImage+pulled, expire), `{"expireByPull":false}`)), `or add "berth": {"expireByPull": true} to the rule`, "action.type"},
	{"groups of any", document(withBerth(rule(1, anyImage+one, expire), `{"countPerGroup":"(.)"}`)), "countPerGroup can only be used with tagStatus=tagged", "berth.countPerGroup"},
	{"groups by age", document(withBerth(rule(1, tagged+patternA+pushed, expire), `{"countPerGroup":"(.)"}`)), "countPerGroup can only be used with countType=imageCountMoreThan", "berth.countPerGroup"},
	{"groups, number", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":5}`)), "instance type (integer) " + notString, "berth.countPerGroup"},
	{"groups, null", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":null}`)), "instance type (null) " + notString, "berth.countPerGroup"},
	{"groups, empty", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":""}`)), "one pair of parentheses that captures, found: 0", "berth.countPerGroup"},
	{"groups without parentheses", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"x-(?:.)"}`)), "one pair of parentheses that captures, found: 0", "berth.countPerGroup"},
	{"groups of two", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.+)-(.+)"}`)), "one pair of parentheses that captures, found: 2", "berth.countPerGroup"},
	{"groups, unfinished", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.+"}`)), "countPerGroup is no regular expression (missing closing ): `(.+`)", "berth.countPerGroup"},
	{"groups of two lines", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.\n+"}`)), "countPerGroup is no regular expression (missing closing ): `(. +`)", "berth.countPerGroup"},
	{"groups that break out", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.))|((?:.)"}`)), "countPerGroup is no regular expression (unexpected ): `(.))|((?:.)`)", "berth.countPerGroup"},
	{"groups that look around", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(?=x)(.)"}`)), "countPerGroup is no regular expression (invalid or unsupported Perl syntax: `(?=`)", "berth.countPerGroup"},
	{"groups that look back", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(.)\\1"}`)), "countPerGroup is no regular expression (invalid escape sequence: `\\1`)", "berth.countPerGroup"},
	{"groups, long", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(`+strings.Repeat("é", 199)+`)"}`)), "countPerGroup can have at most 200 characters, found: 201", "berth.countPerGroup"},
	{"groups, large", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(a{1000})"}`)), "countPerGroup is too large: it can have at most 200 steps, found: 100", "berth.countPerGroup"},
	{"groups, larger", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"(`+strings.Repeat("[^a]{999}", 22)+`)"}`)), "countPerGroup is too large: it can have at most 200 steps, found: 2", "berth.countPerGroup"},
	{"groups, large in all", document(grouped(`(a{100})`, 5)...), "countPerGroup is too large in all: a policy can have at most 500 steps, found: 5", "the document, rules"},
	{"groups, as large as they come", document(withBerth(rule(1, tagged+patternA+one, expire), `{"countPerGroup":"((?:(?:a{1,10}){1,10}){1,11})"}`)), "countPerGroup is no regular expression (invalid repeat count", "berth.countPerGroup"},
}

func TestParseRefuses(t *testing.T) {
	for _, test := range refused {
		p, err := lifecycle.Parse(test.text)
		invalid, ok := errors.AsType[*lifecycle.InvalidError](err)
		if p != nil || !ok {
			t.Errorf("%s: got %v, %v", test.name, p, err)
			continue
		}
		if len(invalid.Problems) != 1 || !strings.HasSuffix(invalid.Problems[0].Where, test.where) {
			t.Errorf("%s: the problems are %q, want one in %s", test.name, invalid.Problems, test.where)
		}
		says, frame := err.Error(), "Lifecycle policy validation failure: "
		if !strings.HasPrefix(says, frame) || !strings.Contains(says, test.says) || invalid.Problems[0].Remedy == "" {
			t.Errorf("%s: %s\nshould say %s", test.name, says, test.says)
		}
	}
}

// A document is refused for all that is wrong with it: first for what its JSON is like,
// as Amazon ECR does, and then for what its rules mean.
func TestParseTellsAll(t *testing.T) {
	_, err := lifecycle.Parse(document(
		rule(1, anyImage+one, expire),
		rule(2, untagged+one, expire),
		rule(2, tagged+one, expire),
		rule(4, `"tagStatus":"foo","countType":"x","countNumber":0`, `"type":"transition"`),
	))
	want := "Lifecycle policy validation failure: " +
		`instance value (foo) not found in enum :(possible values: ["any", "tagged", "untagged"]); in rule #4 (rulePriority 4), selection.tagStatus: write any or tagged or untagged, in lower case. ` +
		`Also: numeric instance is lower than the required minimum (minimum: 1, found: 0); in rule #4 (rulePriority 4), selection.countNumber: write 1 or more. ` +
		`Also: instance failed to match exactly one schema (matched 0 out of 4); in rule #4 (rulePriority 4), selection.countType: write imageCountMoreThan, sinceImagePushed, sinceImagePulled or sinceImageTransitioned. ` +
		`Also: instance failed to match exactly one schema (matched 0 out of 2); in rule #4 (rulePriority 4), action.targetStorageClass: add "targetStorageClass": "archive". ` +
		`Also: Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED; in rule #3 (rulePriority 2), selection: add "tagPatternList": ["*"] for all tagged images, or the patterns that are meant. ` +
		`And 2 more.`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
