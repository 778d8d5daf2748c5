package config

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
)

// value puts the texts of a setting into a Config, and takes them out again.
type value struct {
	set func(c *Config, texts []string) error
	get func(c *Config) []string
}

type prefixList = []netip.Prefix

// single is a value that has one text.
func single(set func(c *Config, text string) error, get func(c *Config) string) value {
	return value{
		set: func(c *Config, texts []string) error {
			if len(texts) != 1 {
				return abi.Errorf(abi.CodeInvalid, "it takes one value; this has %d", len(texts))
			}
			return set(c, texts[0])
		},
		get: func(c *Config) []string {
			if s := get(c); s != "" {
				return []string{s}
			}
			return nil
		},
	}
}

func optional(p func(*Config) *string) value {
	return single(func(c *Config, text string) error { *p(c) = text; return checkText(text) }, func(c *Config) string { return *p(c) })
}

func text(p func(*Config) *string) value {
	return single(func(c *Config, text string) error {
		if *p(c) = text; text == "" {
			return abi.Errorf(abi.CodeInvalid, "it must not be empty")
		}
		return checkText(text)
	}, func(c *Config) string { return *p(c) })
}

func checkText(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return abi.Errorf(abi.CodeInvalid, "there is a control character in %q", text)
	}
	return nil
}

func oneOf(p func(*Config) *string, words ...string) value {
	return single(func(c *Config, text string) error {
		if *p(c) = text; !slices.Contains(words, text) {
			return abi.Errorf(abi.CodeInvalid, "%q is not one of %s%s", text, strings.Join(words, ", "), DidYouMean(text, words))
		}
		return nil
	}, func(c *Config) string { return *p(c) })
}

func yesNo(p func(*Config) *bool) value {
	return single(func(c *Config, text string) (err error) {
		switch text {
		case "true", "yes", "on", "1", "": // the flag alone
			*p(c) = true
		case "false", "no", "off", "0":
			*p(c) = false
		default:
			return abi.Errorf(abi.CodeInvalid, "%q is neither true nor false", text)
		}
		return nil
	}, func(c *Config) string { return strconv.FormatBool(*p(c)) })
}

func number(p func(*Config) *int, least, most int) value {
	return single(func(c *Config, text string) error {
		n, err := parseNumber(text, int64(least), int64(most))
		*p(c) = int(n)
		return err
	}, func(c *Config) string { return strconv.Itoa(*p(c)) })
}

func number64(p func(*Config) *int64, least, most int64) value {
	return single(func(c *Config, text string) (err error) {
		*p(c), err = parseNumber(text, least, most)
		return err
	}, func(c *Config) string { return strconv.FormatInt(*p(c), 10) })
}

func parseNumber(text string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	switch {
	case err != nil:
		return 0, abi.Errorf(abi.CodeInvalid, "%q is no number", text)
	case n < least || n > most:
		return 0, abi.Errorf(abi.CodeInvalid, "%s: it must be between %d and %d", text, least, most)
	}
	return n, nil
}

func fraction(p func(*Config) *float64) value {
	return single(func(c *Config, text string) (err error) {
		if *p(c), err = strconv.ParseFloat(text, 64); err != nil || !(*p(c) >= 0 && *p(c) <= 1) {
			return abi.Errorf(abi.CodeInvalid, "%q is no number from 0 to 1", text)
		}
		return nil
	}, func(c *Config) string { return strconv.FormatFloat(*p(c), 'g', -1, 64) })
}

func duration(p func(*Config) *time.Duration, least, most time.Duration) value {
	return single(func(c *Config, text string) (err error) {
		if *p(c), err = ParseDuration(text); err != nil {
			return err
		}
		if d := *p(c); d < least || d > most {
			return abi.Errorf(abi.CodeInvalid, "%s: it must be between %s and %s", text, formatDuration(least), formatDuration(most))
		}
		return nil
	}, func(c *Config) string { return formatDuration(*p(c)) })
}

const day = 24 * time.Hour

// ParseDuration reads a duration as Go writes it, or in days: 90d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil && n >= 0 && n <= 106_000 {
			return time.Duration(n) * day, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, abi.Errorf(abi.CodeInvalid, "%q is no duration; write 90s, 5m, 12h or 30d", text)
	}
	return d, nil
}

func formatDuration(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// units of sizes, the largest first.
var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

func bytes(p func(*Config) *int64, least, most int64) value {
	return single(func(c *Config, text string) (err error) {
		if *p(c), err = ParseBytes(text); err != nil {
			return err
		}
		if n := *p(c); n < least || n > most {
			return abi.Errorf(abi.CodeInvalid, "%s: it must be between %s and %s", text, formatBytes(least), formatBytes(most))
		}
		return nil
	}, func(c *Config) string { return formatBytes(*p(c)) })
}

// ParseBytes reads a size: a number of bytes, or one with a unit, such as 64MiB or 1.5GB.
func ParseBytes(text string) (int64, error) {
	if n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64); err == nil && n >= 0 {
		return n, nil
	}
	for _, u := range units {
		if left, ok := strings.CutSuffix(text, u.name); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(left), 64)
			if n := f * float64(u.size); err == nil && n >= 0 && n < math.MaxInt64 {
				return int64(n), nil
			}
			break
		}
	}
	return 0, abi.Errorf(abi.CodeInvalid, "%q is no size; write a number of bytes, or 512KiB, 64MiB, 4GiB", text)
}

func formatBytes(n int64) string {
	for _, u := range units[:4] {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

func list(p func(*Config) *[]string, check func(string) error) value {
	return value{
		set: func(c *Config, texts []string) error {
			*p(c) = texts
			if len(texts) == 0 {
				return abi.Errorf(abi.CodeInvalid, "it must not be empty")
			}
			for _, text := range texts {
				if err := check(text); err != nil {
					return err
				}
			}
			return nil
		},
		get: func(c *Config) []string { return *p(c) },
	}
}

// checkListen says what is wrong with an address to listen on.
func checkListen(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return abi.Errorf(abi.CodeInvalid, "%q: write unix:/PATH", addr)
		}
		return checkText(path)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return abi.Errorf(abi.CodeInvalid, "%q is no address; write HOST:PORT, such as 127.0.0.1:8080, or unix:/PATH", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return abi.Errorf(abi.CodeInvalid, "%q: the port must be a number from 0 to 65535", addr)
	}
	return nil
}

func prefixes(p func(*Config) *prefixList) value {
	return value{
		set: func(c *Config, texts []string) error {
			*p(c) = nil
			for _, text := range texts {
				prefix, err := netip.ParsePrefix(text)
				if err != nil {
					addr, e := netip.ParseAddr(text)
					if e != nil {
						return abi.Errorf(abi.CodeInvalid, "%q is no address and no CIDR such as 10.0.0.0/8", text)
					}
					prefix = netip.PrefixFrom(addr, addr.BitLen())
				}
				*p(c) = append(*p(c), prefix.Masked())
			}
			return nil
		},
		get: func(c *Config) (texts []string) {
			for _, prefix := range *p(c) {
				texts = append(texts, prefix.String())
			}
			return texts
		},
	}
}

// pluginConfig reads PLUGIN.KEY=VALUE, where the plugin ends at the first dot, or JSON: {"PLUGIN": {"KEY": "VALUE"}}.
func pluginConfig() value {
	return value{
		set: func(c *Config, texts []string) error {
			c.PluginConfig = map[string]map[string]string{}
			for _, text := range texts {
				if err := addPluginConfig(c.PluginConfig, text); err != nil {
					return err
				}
			}
			return nil
		},
		get: func(c *Config) (texts []string) {
			for plugin, config := range c.PluginConfig {
				for key, v := range config {
					texts = append(texts, plugin+"."+key+"="+v)
				}
			}
			slices.Sort(texts)
			return texts
		},
	}
}

func addPluginConfig(all map[string]map[string]string, text string) error {
	more := map[string]map[string]string{}
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &more); err != nil {
			return abi.Errorf(abi.CodeInvalid, `the JSON cannot be read; write {"PLUGIN": {"KEY": "VALUE"}}`) // the text may be secret
		}
	} else {
		left, v, ok := strings.Cut(text, "=")
		plugin, key, dot := strings.Cut(left, ".")
		if !ok || !dot || key == "" {
			return abi.Errorf(abi.CodeInvalid, "write PLUGIN.KEY=VALUE") // likewise
		}
		more[plugin] = map[string]string{key: v}
	}
	for plugin, config := range more {
		if !abi.ValidName(plugin) {
			return abi.Errorf(abi.CodeInvalid, "%q cannot be the name of a plugin", plugin)
		}
		for key, v := range config {
			if all[plugin] == nil {
				all[plugin] = map[string]string{}
			}
			all[plugin][key] = v
		}
	}
	return nil
}

// encode is what addPluginConfig reads.
func encode(all map[string]map[string]string) string {
	data, err := json.Marshal(all)
	if err != nil {
		return "{}" // texts can always be written
	}
	return string(data)
}
