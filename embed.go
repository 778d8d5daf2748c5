package taskhost

import "embed"

// Sources are the SDKs that "taskhost new" copies into the projects that it makes, so that these build without a network. They are part
// of the command only.
//
//go:embed LICENSE abi/*.go sdk/go sdk/c/taskhost.h
//go:embed sdk/rust/Cargo.toml sdk/rust/src
//go:embed sdk/assemblyscript/asconfig.json sdk/assemblyscript/assembly sdk/assemblyscript/index.ts sdk/assemblyscript/package.json
var Sources embed.FS
