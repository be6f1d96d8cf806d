// Package credhelper logs docker and the kubelet in at a registry, without docker login:
// it is what speaks when one of them runs berth and asks for the password of a host.
//
// It runs where images are pulled, not where they are kept, so it knows nothing of the
// rest of berth. What it asks is the API of Amazon ECR, which berth serves at POST /: a
// request signed with an access key is answered with the login of user AWS, good for
// twelve hours. Where the access key comes from is what [Helper.Login] is about: the
// environment, a web identity that is traded for temporary credentials, or a profile of
// the files in ~/.aws. Who has none of them gets what docker login has left.
//
// The helper of Amazon, docker-credential-ecr-login, does the same and refuses hosts
// that are not Amazon's.
//
// Two programs ask in two languages: [Helper.Docker] and [Helper.Kubelet].
//
// https://github.com/docker/docker-credential-helpers
// https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
package credhelper
