// Package plugindir changes the files of a plugin folder, and keeps those of earlier versions, so that a plugin can be rolled back to
// them also after a restart.
package plugindir

// Dir is a plugin folder.
type Dir struct{}
