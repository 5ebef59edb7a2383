package embedded

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// configName is the engine's configuration in its folder. Start writes it anew
// each time; users and settings stand in the one file.
const configName = "engine.xml"

// writeConfig writes the configuration. What `clickhouse local` sizes for a
// single query (two threads for merges, two for everything else) is sized here
// for a server that takes inserts all day.
func writeConfig(dir string, users map[string]User) (string, error) {
	path := filepath.Join(dir, configName)
	var b strings.Builder
	fmt.Fprintf(&b, `<clickhouse>
    <background_pool_size>%d</background_pool_size>
    <background_schedule_pool_size>16</background_schedule_pool_size>
    <users_config>%s</users_config>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
`, max(4, runtime.NumCPU()), html.EscapeString(path))
	writeUser(&b, "default", User{})
	names := make([]string, 0, len(users))
	for name := range users {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		writeUser(&b, name, users[name])
	}
	b.WriteString("    </users>\n</clickhouse>\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return "", fmt.Errorf("write the engine's configuration: %w", err)
	}
	return path, nil
}

func writeUser(b *strings.Builder, name string, u User) {
	rights := `            <access_management>1</access_management>
            <named_collection_control>1</named_collection_control>
`
	if u.Grants != nil {
		rights = "            <grants>"
		for _, grant := range u.Grants {
			rights += "<query>" + html.EscapeString(grant) + "</query>"
		}
		rights += "</grants>\n"
	}
	fmt.Fprintf(b, `        <%[1]s>
            <password>%[2]s</password>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
%[3]s        </%[1]s>
`, name, html.EscapeString(u.Password), rights)
}
