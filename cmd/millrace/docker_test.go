package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type composeFile struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Environment map[string]string `yaml:"environment"`
		Secrets     []string          `yaml:"secrets"`
		DependsOn   map[string]any    `yaml:"depends_on"`
	} `yaml:"services"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../docker/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	environment := c.Services["millrace"].Environment
	for _, name := range []string{"MILLRACE_SOURCE_DSN_FILE", "MILLRACE_TARGET_DSN_FILE"} {
		if environment[name] == "" {
			t.Errorf("millrace has no %s", name)
		}
	}
	for name, s := range c.Services {
		for variable, value := range s.Environment {
			checkVariable(t, variable, value)
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s: %s names a secret that the service does not have", name, variable)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s: secret %s has no file", name, secret)
			}
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
	}
}

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	variables := regexp.MustCompile(`(MILLRACE_\w+)=(\S+)`).FindAllStringSubmatch(string(text), -1)
	if len(variables) != 2 {
		t.Errorf("the image sets %q", variables)
	}
	for _, v := range variables {
		checkVariable(t, v[1], v[2])
	}
}

// checkVariable refuses one that looks like millrace's and is not, or has a
// value that millrace would refuse.
func checkVariable(t *testing.T, variable, value string) {
	t.Helper()
	if !strings.HasPrefix(variable, envPrefix) {
		return
	}
	name, isFile := strings.CutSuffix(variable, fileSuffix)
	i := slices.IndexFunc(keys, func(k key) bool { return k.env() == name })
	if i < 0 {
		t.Errorf("%s is the variable of no key", variable)
		return
	}
	if isFile {
		return
	}
	if err := keys[i].kind.set(new(Config), value); err != nil {
		t.Errorf("%s: %v", variable, err)
	}
}
