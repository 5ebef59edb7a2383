package main

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/pipeline"
	"github.com/millrace/millrace/source/postgres"
)

const repository = "../.."

// documents returns the text of every document, by its path in the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(repository, path)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	if texts["README.md"] == "" || texts["docs/operations.md"] == "" {
		t.Fatal("there are no documents")
	}
	return texts
}

var (
	fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	inline = regexp.MustCompile("`([^`\n]+)`")
)

// code returns what a document shows as code: the lines of its blocks of
// shell, without comments, and what stands between backticks.
func code(text string) []string {
	var pieces []string
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		if block[1] != "sh" {
			continue
		}
		for line := range strings.Lines(block[2]) {
			line, _, _ = strings.Cut(line, " #")
			pieces = append(pieces, strings.TrimSpace(line))
		}
	}
	for _, span := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		pieces = append(pieces, span[1])
	}
	return pieces
}

func TestDocumentsNameCommandsAndFlagsThatExist(t *testing.T) {
	root := newRootCommand()
	seen := map[string]bool{}
	for name, text := range documents(t) {
		for _, piece := range code(text) {
			words := strings.Fields(piece)
			i := slices.IndexFunc(words, func(w string) bool { return w == "millrace" || w == "bin/millrace" })
			switch {
			case i >= 0 && i+1 < len(words):
				checkCommandLine(t, name, root, words[i+1:])
				seen[words[i+1]] = true
			case strings.HasPrefix(piece, "--") && !knownFlag(root, flagName(piece)):
				t.Errorf("%s: there is no flag %s", name, piece)
			}
		}
	}
	for _, c := range root.Commands() {
		if c.Name() != "help" && !seen[c.Name()] {
			t.Errorf("no document names the command %s", c.Name())
		}
	}
}

func checkCommandLine(t *testing.T, document string, root *cobra.Command, words []string) {
	t.Helper()
	cmd, _, err := root.Find(words[:1])
	if err != nil || cmd == root {
		t.Errorf("%s: there is no command millrace %s", document, words[0])
		return
	}
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "--") && cmd.Flags().Lookup(flagName(w)) == nil {
			t.Errorf("%s: millrace %s has no flag %s", document, words[0], w)
		}
	}
}

func flagName(text string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.Fields(text)[0], "--"), "=")
	return name
}

func knownFlag(root *cobra.Command, name string) bool {
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool {
		return c.Flags().Lookup(name) != nil
	})
}

func TestDocumentsNameKeysThatExist(t *testing.T) {
	form := regexp.MustCompile(`^([a-z]+)\.[a-z_]+$`)
	sections := map[string]bool{}
	for _, k := range keys {
		if section, _, ok := strings.Cut(k.name, "."); ok {
			sections[section] = true
		}
	}
	for name, text := range documents(t) {
		for _, piece := range code(text) {
			m := form.FindStringSubmatch(piece)
			if m == nil || !sections[m[1]] || strings.HasSuffix(piece, ".go") {
				continue
			}
			if findKey(piece) == nil {
				t.Errorf("%s: there is no key %s", name, piece)
			}
		}
		for _, variable := range regexp.MustCompile(envPrefix+`[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			variable = strings.TrimSuffix(variable, fileSuffix)
			ours := slices.ContainsFunc(keys, func(k key) bool { return k.env() == variable })
			if !ours && !strings.HasPrefix(variable, envPrefix+"TEST_") {
				t.Errorf("%s: %s is the variable of no key", name, variable)
			}
		}
	}
}

// A file that a document shows must be one that millrace takes.
func TestDocumentsShowFilesThatLoad(t *testing.T) {
	shown := 0
	for name, text := range documents(t) {
		for _, block := range fenced.FindAllStringSubmatch(text, -1) {
			if block[1] != "yaml" {
				continue
			}
			shown++
			path := filepath.Join(t.TempDir(), "millrace.yaml")
			if err := os.WriteFile(path, []byte(block[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := &cobra.Command{}
			addConfigFlags(cmd)
			if err := cmd.Flags().Set("config", path); err != nil {
				t.Fatal(err)
			}
			if _, err := loadConfig(cmd); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if shown < 2 {
		t.Errorf("%d files are shown", shown)
	}
}

func TestDocumentsNameMakeTargetsThatExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, piece := range code(text) {
			words := strings.Fields(piece)
			if len(words) < 2 || words[0] != "make" {
				continue
			}
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
				t.Errorf("%s: there is no make target %s", name, words[1])
			}
		}
	}
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	texts := documents(t)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if path != "" {
				to = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(filepath.Join(repository, to)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(texts[to]), anchor) {
				t.Errorf("%s links to %s, which has no such heading", name, m[1])
			}
		}
	}
}

// anchors returns the names under which a document's headings are linked to.
func anchors(text string) []string {
	var names []string
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(h[1]), " ", "-")
		names = append(names, regexp.MustCompile(`[^\pL\pN_-]`).ReplaceAllString(name, ""))
	}
	return names
}

func TestDocumentsNameTheMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	pipeline.New(pipeline.Config{
		Name: "shop", Source: postgres.New(postgres.Config{}), Registry: registry, Logger: slog.New(slog.DiscardHandler),
	})
	descriptions := make(chan *prometheus.Desc, 100)
	registry.Describe(descriptions)
	close(descriptions)
	registered := map[string]bool{}
	for d := range descriptions {
		registered[regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	texts := documents(t)
	for name, text := range texts {
		for _, metric := range regexp.MustCompile(`\bmillrace_\w+`).FindAllString(text, -1) {
			if !registered[metric] {
				t.Errorf("%s: there is no metric %s", name, metric)
			}
		}
	}
	for metric := range registered {
		if !strings.Contains(texts["docs/operations.md"], "| `"+metric+"` |") {
			t.Errorf("docs/operations.md lacks the metric %s", metric)
		}
	}
}

// ARCHITECTURE.md says which test shows what.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, piece := range code(text) {
			if regexp.MustCompile(`^Test[A-Z]\w+$`).MatchString(piece) && !strings.Contains(tests.String(), "func "+piece+"(") {
				t.Errorf("%s: there is no test %s", name, piece)
			}
		}
	}
}
