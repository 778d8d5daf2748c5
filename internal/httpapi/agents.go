package httpapi

import (
	"context"
	"net/http"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
)

// agentMemory is what an agent remembers.
type agentMemory struct {
	Vars map[string][]byte `json:"vars" doc:"base64 by name"`
}

type agentPath struct {
	Plugin string `path:"plugin" maxLength:"128" doc:"name of the plugin"`
	ID     string `path:"id" maxLength:"128" doc:"of the agent"`
}

func (p *agentPath) agent() (string, error) {
	if !abi.ValidName(p.Plugin) {
		return "", abi.Errorf(abi.CodeInvalid, "%.128q cannot name a plugin", p.Plugin)
	}
	return p.Plugin + "/" + p.ID, nil
}

func (a *API) addAgents() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/agents/{plugin}/{id}/memory", id: "getMemory", role: auth.RoleRead, tag: "agents",
		summary: "What an agent remembers", about: "That is the vars that its last completed task left. One that remembers nothing has none.",
	}, func(ctx context.Context, in *agentPath) (*body[agentMemory], error) {
		agent, err := in.agent()
		if err != nil {
			return nil, err
		}
		vars, err := a.cfg.Tasks.Memory(ctx, agent)
		if vars == nil {
			vars = map[string][]byte{}
		}
		return &body[agentMemory]{agentMemory{vars}}, err
	})
	add(a, operation{
		method: http.MethodDelete, path: "/v1/agents/{plugin}/{id}/memory", id: "forgetMemory", role: auth.RoleOperate, tag: "agents",
		summary: "Make an agent remember nothing",
	}, func(ctx context.Context, in *agentPath) (*struct{}, error) {
		agent, err := in.agent()
		if err == nil {
			err = a.cfg.Tasks.Forget(ctx, agent)
		}
		a.cfg.Audit(ctx, "agent.forget", agent, err)
		return nil, err
	})
}
