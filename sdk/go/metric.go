package taskhost

import (
	"encoding/json"
	"errors"

	"github.com/taskhost/taskhost/sdk/go/internal/guest"
)

// Labels are the labels of a metric, name to value. Each set of values is kept for as long as the plugin is loaded, so values are
// words from a short list, never ids or input.
type Labels map[string]string

// MetricAdd adds value to a counter, which shows as taskhost_plugin_<name> with the label plugin.
// The name begins with a lower-case letter and has only those, digits and underscores; the value is not negative; labels may be nil.
// An error says why the host did not take it: a bad name, too many names or sets of labels.
func MetricAdd(name string, value float64, labels Labels) error {
	return metric(guest.MetricAdd, name, value, labels)
}

// MetricSet sets a gauge. Otherwise it is as [MetricAdd]; the value may be negative.
func MetricSet(name string, value float64, labels Labels) error {
	return metric(guest.MetricSet, name, value, labels)
}

// MetricObserve puts a value into a histogram. Otherwise it is as [MetricAdd]; the value may be negative.
func MetricObserve(name string, value float64, labels Labels) error {
	return metric(guest.MetricObserve, name, value, labels)
}

func metric(f func(name string, value float64, labels string) string, name string, value float64, labels Labels) error {
	var text string
	if len(labels) > 0 {
		b, err := json.Marshal(labels)
		if err != nil {
			return err
		}
		text = string(b)
	}
	if message := f(name, value, text); message != "" {
		return errors.New(message)
	}
	return nil
}
