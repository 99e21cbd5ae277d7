// npm @supabase/supabase-js 2, with Node.js 22 or later and a key that may read the tables and the bucket.
import { createClient } from "@supabase/supabase-js";

const supabase = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_KEY);

// latestDaily is the event of a user's latest day, null if there is none.
export async function latestDaily(user) {
  const rows = await supabase
    .from("terra_data_payloads")
    .select("payload_id")
    .eq("user_id", user)
    .eq("data_type", "daily")
    .order("start_time", { ascending: false, nullsFirst: false })
    .order("created_at", { ascending: false })
    .limit(1);
  if (rows.error) throw rows.error; // nothing is thrown by itself
  if (rows.data.length === 0) return null;
  const object = await supabase.storage.from("terra-payloads").download(`daily/${rows.data[0].payload_id}.json`);
  if (object.error) throw object.error;
  return JSON.parse(await object.data.text());
}
