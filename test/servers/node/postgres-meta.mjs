// postgres-meta as its own command starts it, but on loopback only, and without
// the second port for its own metrics.
import { build } from './node_modules/@supabase/postgres-meta/dist/server/app.js';

const app = build({ logger: { level: 'warn' } });
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
