package main

import (
	"io"
	"log/slog"
	"os"
)

// newLogger returns the logger that log.level and log.format ask for. It
// writes to stderr: stdout is for what a command was asked for.
func newLogger(c *Config) *slog.Logger { return loggerTo(os.Stderr, c) }

func loggerTo(w io.Writer, c *Config) *slog.Logger {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	options := &slog.HandlerOptions{Level: levels[c.Log.Level]}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
