// Package client talks to a taskhost server. Its words and values are those of package manager and package abi, so that a program
// reads the same whether its tasks run in the process or on a server:
//
//	c, err := client.New(client.Config{BaseURL: "https://tasks.example.com", Token: token})
//	t, err := c.Submit(ctx, manager.ProcessorTask("# Hi", "text", "markdown"), client.SubmitOptions{})
//	t, err = c.Result(ctx, t.ID) // waits; t.Output is the result
//
// Every error is an *abi.Error: that of the server, word for word, or one of the client itself. A server that cannot be reached is
// abi.CodeUnavailable, and one that is no taskhost server abi.CodeInvalid; the message says what to look at. When a context ends, the
// error wraps its error.
//
// Requests that changed nothing, or that can be repeated without harm, are sent again when the server does not answer, is stopping or has
// no room, for Config.RetryFor. A submit carries an idempotency key, so it is one of them: if its answer is lost, the task is not
// submitted twice.
//
// Live events are in [Client.Events] and [Client.Watch]. Both make their connection again when it breaks.
//
// docs/http-api.md describes what goes over the wire.
package client
