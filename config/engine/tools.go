//go:build tools

// Package engine pins the Pulumi engine as a Go module, for networks without release downloads.
// The replacement in go.mod is the engine's own: a main module's replacements are not inherited.
package engine

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
