package ecr

import (
	"context"
	"errors"
	"net/http"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// connect is a client of the administrator.
func connect(t *testing.T) *sdk.Client {
	t.Helper()
	if target.url == "" {
		t.Skip("set BERTH_ECR=1 to ask berth what Amazon ECR can be asked, see conformance/README.md")
	}
	return as(target.admin)
}

// as is a client that signs with a key.
func as(k key) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: new(target.url),
		Region:       region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, nil
		}),
		HTTPClient: http.DefaultClient,
		Retryer:    aws.NopRetryer{}, // an answer is what it is
		APIOptions: []func(*middleware.Stack) error{note},
	})
}

// note has the outcome of each call noted.
func note(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("note",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, data, err := next.HandleInitialize(ctx, in)
			seen.note(awsmiddleware.GetOperationName(ctx), err)
			return out, data, err
		}), middleware.Before)
}

// method is an operation of the client.
type method[In, Out any] = func(context.Context, *In, ...func(*sdk.Options)) (*Out, error)

// do calls an operation that is to succeed.
func do[In, Out any](t *testing.T, call method[In, Out], in *In) *Out {
	t.Helper()
	out, err := call(t.Context(), in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused calls an operation that is to give an exception, with a message that is looked at unless it is empty.
func refused[E smithy.APIError, In, Out any](t *testing.T, call method[In, Out], in *In, message string) E {
	t.Helper()
	_, err := call(t.Context(), in)
	return exception[E](t, err, message)
}

// exception says that an error is an exception of the API.
func exception[E smithy.APIError](t *testing.T, err error, message string) (e E) {
	t.Helper()
	if !errors.As(err, &e) {
		t.Fatalf("%v, want %v", err, reflect.TypeFor[E]().Elem().Name())
	}
	switch {
	case e.ErrorMessage() == "":
		t.Errorf("%v has no message", e)
	case message != "" && e.ErrorMessage() != message:
		t.Errorf("the message is %q,\nwant %q", e.ErrorMessage(), message)
	}
	return e
}

// settle waits until all replicas have heard of a change of policies, which takes them a tenth of a second. A server alone
// has to know at once.
func settle() {
	if os.Getenv("BERTH_ECR_REPLICAS") != "" {
		time.Sleep(300 * time.Millisecond)
	}
}

// denied calls an operation that is not allowed, of which the SDK knows no type.
func denied(t *testing.T, err error) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "AccessDeniedException" {
		t.Fatalf("%v, want AccessDeniedException", err)
	}
}
