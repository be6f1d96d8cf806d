// Package lifecycle is the language of lifecycle policies, as Amazon ECR has it and with a
// few members more: what becomes of the images of a repository with time.
//
// [Parse] reads a policy and refuses one that could mean something else than its author
// thinks. [Decide] holds it against the images of a repository and says which of them
// go, by which rule, and why; [Explain] says besides why the others stay. They are
// functions of their arguments, without a clock and without a database. A [Pruner] does
// what they say, to what a [Store] keeps.
//
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
package lifecycle
