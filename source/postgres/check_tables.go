package postgres

import (
	"context"
	"fmt"
)

// tables looks at what is selected, and at the publication.
func (c *checker) tables(ctx context.Context) error {
	if err := c.s.cfg.Select.Validate(); err != nil {
		c.failure("tables", err)
		return nil
	}
	catalog, err := c.s.readSelected(ctx, c.conn)
	if err != nil {
		return err
	}
	c.publication(catalog)
	c.patterns(catalog)
	good := 0
	for _, t := range catalog.tables {
		subject := fmt.Sprintf("table %s", t)
		if t.Problem != nil {
			c.failure(subject, t.Problem)
		} else {
			good++
		}
		for _, note := range t.Notes {
			if note != catalog.pub.optionsNote() { // told once
				c.warn(subject, "", "%s", note)
			}
		}
	}
	if good == 0 {
		c.fail("tables", "check the patterns in tables", "none can be replicated")
	} else {
		c.ok("tables", "%d can be replicated", good)
	}
	return nil
}

// patterns names those that match nothing, which may be slips of the hand.
func (c *checker) patterns(catalog *catalog) {
	for _, u := range c.s.cfg.Select.Unmatched(catalog.names) {
		if u.Literal != nil && !u.Exclude {
			c.fail("tables", "correct the pattern, or create the table", "%s", u)
			continue
		}
		c.warn("tables", "correct the pattern, or take it out", "%s", u)
	}
}

func (c *checker) publication(catalog *catalog) {
	p := catalog.pub
	subject := fmt.Sprintf("publication %q", p.name)
	switch {
	case !p.exists:
		c.creation(subject, catalog)
	case !p.ours:
		c.ok(subject, "it is not of this pipeline, and is used as it is")
		if note := p.optionsNote(); note != "" {
			c.warn(subject, fmt.Sprintf("ALTER PUBLICATION %s SET (%s)", quote(p.name), publicationOptions), "%s", note)
		}
	case !p.inStep() && !p.allTables:
		c.ok(subject, "it is this pipeline's; run sets its options again")
	default:
		c.ok(subject, "it is this pipeline's")
	}
}

// creation tells whether run could create the publication.
func (c *checker) creation(subject string, catalog *catalog) {
	var usable []*table
	for _, t := range catalog.tables {
		if t.Problem == nil {
			usable = append(usable, t)
		}
	}
	switch {
	case c.server.standby:
		c.fail(subject, "on the primary, run "+catalog.pub.createStatement(usable), "there is none, and a standby cannot create it")
	case !c.server.mayCreate:
		c.fail(subject, fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quote(c.server.database), quote(c.server.role)),
			"there is none, and role %q may not create one", c.server.role)
	default:
		c.ok(subject, "not there yet; run creates it")
	}
}
