package sqlitestore

import (
	"maps"
	"slices"

	"github.com/taskhost/taskhost/manager"
)

// appendSpec writes the column spec: what Spec.MarshalJSON writes, without the input.
func appendSpec(b []byte, s *manager.Spec) ([]byte, error) {
	o := object{b: append(b, '{')}
	o.text("name", s.Name)
	o.text("kind", string(s.Kind))
	if len(s.Steps) > 0 {
		o.key("steps")
		o.steps(s.Steps)
	}
	o.text("content", s.Content)
	if s.Args != nil {
		o.other("args", s.Args)
	}
	o.texts("labels", s.Labels)
	o.duration("timeout", s.Timeout)
	o.duration("step_timeout", s.StepTimeout)
	if r := &s.Retry; r.MaxAttempts != 0 || r.Backoff != 0 || r.MaxBackoff != 0 || r.Codes != nil {
		o.open("retry")
		o.number("max_attempts", int64(r.MaxAttempts))
		o.duration("backoff", r.Backoff)
		o.duration("max_backoff", r.MaxBackoff)
		if r.Codes != nil {
			o.other("codes", r.Codes)
		}
		o.close()
	}
	o.text("queue", s.Queue)
	o.number("priority", int64(s.Priority))
	if !s.RunAt.IsZero() {
		o.other("run_at", s.RunAt)
	}
	o.duration("expiry", s.Expiry)
	if s.Unique != (manager.Unique{}) {
		o.open("unique")
		o.key("key")
		o.b = appendString(o.b, s.Unique.Key)
		o.duration("window", s.Unique.Window)
		o.truth("existing", s.Unique.Existing)
		o.close()
	}
	if len(s.After) > 0 {
		o.other("after", s.After)
	}
	o.text("after_failed", string(s.AfterFailed))
	o.truth("collect", s.Collect)
	o.text("traceparent", s.TraceParent)
	o.close()
	return o.b, o.err
}

func (o *object) steps(steps []manager.Step) {
	o.b = append(o.b, '[')
	for i := range steps {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		s := &steps[i]
		name := s.Plugin
		if s.Function != "" {
			name += ":" + s.Function
		}
		if len(s.Config) == 0 && s.Timeout == 0 {
			o.b = appendString(o.b, name)
			continue
		}
		o.b = append(o.b, '{')
		o.key("step")
		o.b = appendString(o.b, name)
		o.texts("config", s.Config)
		o.duration("timeout", s.Timeout)
		o.close()
	}
	o.b = append(o.b, ']')
}

// texts writes a map by the order of its keys.
func (o *object) texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	o.open(name)
	if len(m) == 1 {
		for k, v := range m {
			o.member(k, v)
		}
	} else {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			o.member(k, m[k])
		}
	}
	o.close()
}

func (o *object) member(k, v string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = appendString(o.b, k)
	o.b = append(o.b, ':')
	o.b = appendString(o.b, v)
}
