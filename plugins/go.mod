// The plugins that ship with taskhost are a module of their own, so that what they are made of stays out of the library's go.mod.
module github.com/taskhost/taskhost/plugins

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/itchyny/gojq v0.12.20
	github.com/klauspost/compress v1.20.4
	github.com/microcosm-cc/bluemonday v1.0.27
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	github.com/taskhost/taskhost v0.0.0
	github.com/yuin/goldmark v1.8.7
	golang.org/x/crypto v0.58.0
	golang.org/x/net v0.62.0
	golang.org/x/text v0.44.0
)

require (
	github.com/aymerick/douceur v0.2.0 // indirect
	github.com/gorilla/css v1.0.1 // indirect
	github.com/itchyny/timefmt-go v0.1.9 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/taskhost/taskhost => ../
