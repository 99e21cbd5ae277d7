// fauxqs as its own command starts it, but on loopback only, and with queue URLs
// that name the address that was asked instead of sqs.us-east-1.localhost.
import { buildApp } from 'fauxqs';
import { SqsStore } from './node_modules/fauxqs/dist/sqs/sqsStore.js';

const sqsStore = new SqsStore();
sqsStore.host = '';
const app = buildApp({ logger: { level: 'warn' }, stores: { sqsStore } });
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
