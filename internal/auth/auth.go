// Package auth says who may do what at a server: principals and their roles, the tokens that prove them, and the HTTP middleware that
// checks these.
package auth

import (
	"context"
	"slices"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// Role is what a principal may do. Each role may do what those before it may.
type Role string

// The roles.
const (
	RoleRead    Role = "read"    // look at tasks, plugins, queues, schedules, metrics
	RoleSubmit  Role = "submit"  // submit tasks, cancel and retry single ones
	RoleOperate Role = "operate" // many tasks at once, delete tasks, queues, schedules, roll back and disable plugins
	RoleAdmin   Role = "admin"   // upload and remove plugins, profiles, debug bundles, the audit log
)

// Roles lists the roles, the weakest first.
func Roles() []Role { return []Role{RoleRead, RoleSubmit, RoleOperate, RoleAdmin} }

// Allows reports whether who has role r may do what needs the role needed. An unknown role allows nothing.
func (r Role) Allows(needed Role) bool {
	has, needs := slices.Index(Roles(), r), slices.Index(Roles(), needed)
	return needs >= 0 && has >= needs
}

// Principal is who makes a request.
type Principal struct {
	ID   string `json:"id"`   // of the token; "local" on a server without tokens
	Name string `json:"name"` // that the token was given when it was made
	Role Role   `json:"role"`
}

type principalKey struct{}

// With returns a context of a request that p makes.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns who makes the request of a context. Without anybody it is the zero Principal, who may do nothing.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

type callerKey struct{}

// caller is what the middleware knows of who makes a request besides the Principal.
type caller struct {
	address string
	from    *Authenticator
	token   *entry // nil: none was needed
	session string // the cookie of the session; empty: the token was shown
}

// Address returns where the request of a context comes from, as the middleware found out; empty: it is not known.
func Address(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return c.address
	}
	return ""
}

// Valid reports whether what let the request of a context through still does: its token is there as it was and has not expired, its session
// goes on; without a token, that none is needed. Answers that take long ask it now and then. Where no middleware was, it is true.
func Valid(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(*caller)
	switch {
	case !ok:
		return true
	case c.token == nil:
		return !c.from.Required()
	}
	return c.from.cfg.Tokens.still(c.token) && (c.session == "" || c.from.sessions.on(c.session, time.Now()))
}

// Require reports CodeDenied unless who makes the request of ctx may do what needs a role.
func Require(ctx context.Context, needed Role) error {
	if p := From(ctx); !p.Role.Allows(needed) {
		return abi.Errorf(abi.CodeDenied, "this needs the role %s; the token %q has the role %q", needed, p.Name, p.Role)
	}
	return nil
}
