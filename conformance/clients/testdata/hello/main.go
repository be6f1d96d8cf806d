// Command hello is the whole content of an image FROM scratch.
package main

import "fmt"

func main() { fmt.Println("hello from a scratch image") }
