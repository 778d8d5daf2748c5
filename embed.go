package taskhost

import "embed"

// Sources are the SDKs that "taskhost new" copies into the projects that it makes, so that these build without a network. They are part
// of the command only.
//
//go:embed LICENSE abi/*.go sdk/go
var Sources embed.FS
