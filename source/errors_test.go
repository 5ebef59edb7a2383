package source_test

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestWithHintSaysItOnce(t *testing.T) {
	err := source.WithHint(errors.New("it broke"), "mend it")
	if again := source.WithHint(err, "mend it"); again.Error() != "it broke; mend it" {
		t.Errorf("twice the same hint gives %q", again)
	}
	if other := source.WithHint(err, "or leave it"); other.Error() != "it broke; mend it; or leave it" {
		t.Errorf("another hint gives %q", other)
	}
}
