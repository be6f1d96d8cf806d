// Package registrytest says in tests what every [registry.Registry] must do. One
// runs it like this:
//
//	func TestContract(t *testing.T) {
//		registrytest.Run(t, func(t *testing.T) registry.Registry { return registrytest.NewMemory() })
//	}
//
// [Memory] is the registry that others are compared with: maps under one lock, so
// simple that it can be seen to be right. [Recipe] makes the images to push.
//
// The suite asks for what the comments in package registry promise and for no more.
package registrytest
