package ui

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

type queuesView struct {
	base
	Queues  []manager.QueueStatus
	Plugins []manager.QueueStatus
}

func (s *server) queues(q *request) error {
	v := queuesView{base: q.base("queues", "Queues")}
	all, err := s.api.Queues(q.ctx())
	if err != nil {
		return err
	}
	named := false
	for _, status := range all {
		if status.Queue == "" {
			v.Plugins = append(v.Plugins, status)
			continue
		}
		v.Queues = append(v.Queues, status)
		named = named || status.Queue == manager.DefaultQueue
	}
	if !named { // it is there, also when nothing stands in it
		v.Queues = append([]manager.QueueStatus{{Limit: manager.Limit{Queue: manager.DefaultQueue}}}, v.Queues...)
	}
	return q.render(http.StatusOK, "queues", "queues", &v)
}

func (s *server) queueAction(q *request) error {
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	form := q.r.PostForm
	name, action := strings.TrimSpace(form.Get("queue")), form.Get("do")
	var err error
	switch action {
	case "pause", "resume":
		err = s.api.Pause(q.ctx(), name, action == "pause")
	case "limit":
		var limit manager.Limit
		if limit, err = readLimit(form); err == nil {
			limit.Queue = name
			err = s.api.SetLimit(q.ctx(), limit)
		}
	default:
		err = abi.Errorf(abi.CodeInvalid, "a queue can be paused, resumed and limited")
	}
	if err != nil {
		return err
	}
	return q.done("/queues", action, 0)
}

// readLimit reads the fields of a limit. Empty ones are no bound.
func readLimit(form url.Values) (l manager.Limit, err error) {
	number := func(name, what string) int {
		text := strings.TrimSpace(form.Get(name))
		if text == "" || err != nil {
			return 0
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < 0 {
			err = abi.Errorf(abi.CodeInvalid, "%s: %.20q is no number of tasks", what, text)
		}
		return n
	}
	l.Concurrency = number("concurrency", "at once")
	l.Rate.Tasks = number("rate", "tasks")
	l.Paused = form.Get("paused") != ""
	if l.Rate.Tasks > 0 && err == nil {
		per := strings.TrimSpace(form.Get("per"))
		if per == "" {
			per = "1s"
		}
		d, bad := time.ParseDuration(per)
		if bad != nil {
			return l, abi.Errorf(abi.CodeInvalid, "per: %.20q is no time: write it as 1s, 5m or 1h", per)
		}
		l.Rate.Per = d
	}
	return l, err
}
