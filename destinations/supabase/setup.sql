-- For the brand terra and the schema public. The test of this folder keeps it equal to what the engine runs itself.
DO $fantail$
BEGIN
  PERFORM set_config('lock_timeout', '10s', true);
  PERFORM pg_advisory_xact_lock(hashtext('fantail'), hashtext('public'));

  IF to_regclass('public.terra_users') IS NULL THEN
    CREATE TABLE IF NOT EXISTS public.terra_users (user_id TEXT PRIMARY KEY, reference_id TEXT, created_at TIMESTAMPTZ, granted_scopes TEXT, provider TEXT, state TEXT, updated_at TEXT, reference_id_at TEXT, granted_scopes_at TEXT, provider_at TEXT, state_at TEXT);
    ALTER TABLE public.terra_users ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_users TO service_role;
  END IF;
  ALTER TABLE public.terra_users
    ADD COLUMN IF NOT EXISTS user_id TEXT,
    ADD COLUMN IF NOT EXISTS reference_id TEXT,
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS granted_scopes TEXT,
    ADD COLUMN IF NOT EXISTS provider TEXT,
    ADD COLUMN IF NOT EXISTS state TEXT,
    ADD COLUMN IF NOT EXISTS updated_at TEXT,
    ADD COLUMN IF NOT EXISTS reference_id_at TEXT,
    ADD COLUMN IF NOT EXISTS granted_scopes_at TEXT,
    ADD COLUMN IF NOT EXISTS provider_at TEXT,
    ADD COLUMN IF NOT EXISTS state_at TEXT;
  IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = 'public.terra_users'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = 'user_id') THEN
    CREATE UNIQUE INDEX IF NOT EXISTS terra_users_user_id_key ON public.terra_users (user_id);
  END IF;

  IF to_regclass('public.terra_data_payloads') IS NULL THEN
    CREATE TABLE IF NOT EXISTS public.terra_data_payloads (payload_id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES public.terra_users (user_id), data_type TEXT, created_at TIMESTAMPTZ, start_time TIMESTAMPTZ, end_time TIMESTAMPTZ, updated_at TEXT);
    ALTER TABLE public.terra_data_payloads ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_data_payloads TO service_role;
  END IF;
  ALTER TABLE public.terra_data_payloads
    ADD COLUMN IF NOT EXISTS payload_id TEXT,
    ADD COLUMN IF NOT EXISTS user_id TEXT,
    ADD COLUMN IF NOT EXISTS data_type TEXT,
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS start_time TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS end_time TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS updated_at TEXT;
  IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = 'public.terra_data_payloads'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = 'payload_id') THEN
    CREATE UNIQUE INDEX IF NOT EXISTS terra_data_payloads_payload_id_key ON public.terra_data_payloads (payload_id);
  END IF;

  IF to_regclass('public.terra_misc_payloads') IS NULL THEN
    CREATE TABLE IF NOT EXISTS public.terra_misc_payloads (payload_id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES public.terra_users (user_id), data_type TEXT, payload_type TEXT, created_at TIMESTAMPTZ, updated_at TEXT);
    ALTER TABLE public.terra_misc_payloads ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_misc_payloads TO service_role;
  END IF;
  ALTER TABLE public.terra_misc_payloads
    ADD COLUMN IF NOT EXISTS payload_id TEXT,
    ADD COLUMN IF NOT EXISTS user_id TEXT,
    ADD COLUMN IF NOT EXISTS data_type TEXT,
    ADD COLUMN IF NOT EXISTS payload_type TEXT,
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS updated_at TEXT;
  IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = 'public.terra_misc_payloads'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = 'payload_id') THEN
    CREATE UNIQUE INDEX IF NOT EXISTS terra_misc_payloads_payload_id_key ON public.terra_misc_payloads (payload_id);
  END IF;

  PERFORM pg_notify('pgrst', 'reload schema');
END
$fantail$;
