// One rule for Redocly's linter: a name that generators give to a part of a schema
// must not be that of a component. Generated Go that has the type ReplayState twice
// does not compile, and Python's generator leaves out the schema Replay.

const joined = (...parts) => parts.join('').replaceAll(/[^a-z0-9]/gi, '').toLowerCase();

// inline tells whether generators make a type of their own for a schema.
const inline = (schema) => Boolean(schema && !schema.$ref && (schema.enum || schema.properties || inline(schema.items)));

const noNameTwice = () => ({
  Root(root, { report, location }) {
    const schemas = root.components?.schemas ?? {};
    const components = new Map(Object.keys(schemas).map((name) => [joined(name), name]));
    for (const [name, schema] of Object.entries(schemas)) {
      for (const [property, part] of Object.entries(schema.properties ?? {})) {
        const other = components.get(joined(name, property));
        if (other && inline(part)) {
          report({
            message: `Generators name the type of \`${name}.${property}\` like the component \`${other}\`.`,
            location: location.child(['components', 'schemas', name, 'properties', property]),
          });
        }
      }
    }
  },
});

export default () => ({ id: 'fantail', rules: { oas3: { 'no-name-twice': noNameTwice } } });
