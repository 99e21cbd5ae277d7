package supabase

import (
	"database/sql"
	"net/http"
	"slices"
	"strings"
)

// describe is PostgREST's root: an OpenAPI document of the tables of a schema on which the key's role
// has some right. A real document is several times as long; here the paths stand for the rest.
func (p *Project) describe(r *http.Request, claims Claims, schema string, cached tables) (int, string, error) {
	if r.Method != http.MethodGet {
		return 0, "", refuse(http.StatusMethodNotAllowed, "PGRST117", "Unsupported HTTP method: %s", r.Method)
	}
	p.mu.Lock()
	undescribed := p.undescribed
	p.mu.Unlock()
	if undescribed {
		return 0, "", refuse(http.StatusNotFound, "PGRST126", "Root endpoint metadata is disabled")
	}
	definitions, paths := map[string]any{}, map[string]any{"/": map[string]any{}}
	for name, columns := range cached {
		table, ok := strings.CutPrefix(name, schema+".")
		if !ok || strings.HasSuffix(table, "()") {
			continue
		}
		var may bool
		err := p.as(r.Context(), claims.role(), claims, func(tx *sql.Tx) error {
			return tx.QueryRowContext(r.Context(), "SELECT coalesce(has_table_privilege(to_regclass($1::text)::oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(to_regclass($1::text)::oid, 'SELECT, INSERT, UPDATE'), false)", name).Scan(&may)
		})
		if err != nil {
			return 0, "", err
		}
		if may {
			definitions[table], paths["/"+table] = definition(columns), map[string]any{}
		}
	}
	return http.StatusOK, plain(map[string]any{"swagger": "2.0", "info": map[string]string{"title": "standard public schema"}, "paths": paths, "definitions": definitions}), nil
}

// definition describes a table.
func definition(columns []known) any {
	properties, required := map[string]any{}, []string{}
	for _, c := range columns {
		if c.name == "" {
			continue // of a table without columns
		}
		d := map[string]any{"format": map[string]string{"smallint": "int32", "integer": "int32", "bigint": "int64"}[c.kind]}
		if d["format"] == "" {
			d["format"] = c.kind
		}
		switch c.kind {
		case "smallint", "integer", "bigint":
			d["type"] = "integer"
		case "numeric", "real", "double precision":
			d["type"] = "number"
		case "boolean":
			d["type"] = "boolean"
		case "json", "jsonb":
		default:
			d["type"] = "string"
			if strings.HasSuffix(c.kind, "[]") {
				d["type"] = "array"
			}
		}
		if c.length > 0 {
			d["maxLength"] = c.length
		}
		if c.preset != "" {
			d["default"] = c.preset
		}
		if len(c.choices) > 0 {
			d["enum"] = c.choices
		}
		if c.key {
			d["description"] = "Note:\nThis is a Primary Key.<pk/>"
		}
		if c.notNull {
			required = append(required, c.name)
		}
		properties[c.name] = d
	}
	slices.Sort(required)
	return map[string]any{"type": "object", "required": required, "properties": properties}
}

// Undescribed turns PostgREST's root off, as openapi-mode = "disabled" does.
func (p *Project) Undescribed(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.undescribed = on
}
