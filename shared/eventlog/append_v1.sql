-- Append to the log: everything that a command changes, in one round trip.
--
-- The head row is locked first, so all checks below see the truth and nobody waits for a claim
-- while another waits for the head. A refusal is an answer, not an error: nothing was written.
-- Positions have no gaps because the head moves in the transaction that writes the events.
create function log_append(
    -- the streams written to, and the versions they must have (null: any)
    p_streams text[], p_expected int[],
    -- the events in order; p_of_stream and p_of_meta are indexes (from 1) into the arrays beside
    p_of_stream int[], p_types text[], p_schema_versions int[], p_data text[],
    p_event_ids uuid[], p_of_meta int[], p_metas text[],
    p_at timestamptz, p_epoch bigint,
    p_released_kinds text[], p_released_values text[], p_released_owners text[],
    p_claimed_kinds text[], p_claimed_values text[], p_claimed_owners text[],
    p_command_keys text[], p_command_digests text[], p_command_results text[],
    out outcome text, out subject text[], out base bigint, out versions int[],
    out recorded timestamptz, out hashes bytea[]
)
language plpgsql
-- a plan made while the table was empty must still be right when it is not
set enable_seqscan = off
as $$
declare
    v_version int;
    v_hash bytea;
    v_content bytea;
    v_contents bytea[];
    v_event_versions int[];
begin
    select position, hash, greatest(recorded_at, p_at) into strict base, v_hash, recorded
        from log_head for update;

    if cardinality(p_command_keys) > 0 then
        select case when d.digest = k.digest then 'repeated' else 'mismatch' end,
               array[d.idempotency_key, d.position::text, d.result::text]
            into outcome, subject
            from unnest(p_command_keys, p_command_digests) as k (idempotency_key, digest)
            join commands_done d using (idempotency_key)
            limit 1;
        if found then return; end if;
    end if;

    if p_epoch is not null and not exists (select from epochs e where e.epoch = p_epoch) then
        outcome := 'stale_epoch';
        subject := array[p_epoch::text];
        return;
    end if;

    versions := array_fill(0, array[cardinality(p_streams)]);
    for i in 1 .. cardinality(p_streams) loop
        select e.version into v_version
            from events e where e.stream = p_streams[i] order by e.version desc limit 1;
        if found then versions[i] := v_version; end if;
        if p_expected[i] <> versions[i] then
            outcome := 'conflict';
            subject := array[p_streams[i], p_expected[i]::text, versions[i]::text];
            return;
        end if;
    end loop;

    if cardinality(p_claimed_kinds) > 0 then
        select array[c.kind, c.value, c.owner] into subject
            from unnest(p_claimed_kinds, p_claimed_values, p_claimed_owners)
                as n (kind, value, owner)
            join claims c on c.kind = n.kind and c.value = n.value and c.owner <> n.owner
            where (c.kind, c.value, c.owner) not in (
                select * from unnest(p_released_kinds, p_released_values, p_released_owners))
            limit 1;
        if found then outcome := 'claimed'; return; end if;
    end if;

    -- nothing can refuse any more; from here on rows are written
    if cardinality(p_released_kinds) > 0 then
        delete from claims c
            using unnest(p_released_kinds, p_released_values, p_released_owners)
                as r (kind, value, owner)
            where c.kind = r.kind and c.value = r.value and c.owner = r.owner;
    end if;
    if cardinality(p_claimed_kinds) > 0 then
        insert into claims (kind, value, owner)
            select * from unnest(p_claimed_kinds, p_claimed_values, p_claimed_owners)
            on conflict (kind, value) do nothing;  -- held by the same owner already
    end if;

    if cardinality(p_types) > 0 then
        with numbered as (
            select e.*, p_streams[e.of_stream] as stream, p_metas[e.of_meta] as meta,
                   versions[e.of_stream]
                   + (row_number() over (partition by e.of_stream order by e.n))::int as version
                from unnest(p_of_stream, p_types, p_schema_versions, p_data, p_event_ids, p_of_meta)
                    with ordinality
                    as e (of_stream, type, schema_version, data, event_id, of_meta, n)
        )
        select array_agg(version order by n),
               array_agg(convert_to(concat_ws(' ',
                   base + n, version, schema_version, event_id,
                   (extract(epoch from recorded) * 1000000)::bigint,
                   octet_length(type), octet_length(stream), octet_length(meta)
               ) || E'\n' || type || stream || meta || data, 'UTF8') order by n)
            into v_event_versions, v_contents
            from numbered;
        hashes := '{}';
        foreach v_content in array v_contents loop
            v_hash := sha256(v_hash || v_content);
            hashes := hashes || v_hash;
        end loop;
        insert into events (position, stream, version, type, schema_version, data, meta,
                            event_id, recorded_at, hash)
            select base + e.n, p_streams[e.of_stream], e.version, e.type, e.schema_version,
                   e.data::json, p_metas[e.of_meta]::json, e.event_id, recorded, e.hash
                from unnest(p_of_stream, p_types, p_schema_versions, p_data, p_event_ids,
                            p_of_meta, v_event_versions, hashes)
                    with ordinality
                    as e (of_stream, type, schema_version, data, event_id,
                          of_meta, version, hash, n);
        update log_head
            set position = base + cardinality(p_types), hash = v_hash, recorded_at = recorded;
    end if;

    if cardinality(p_command_keys) > 0 then
        insert into commands_done (idempotency_key, digest, position, result, done_at)
            select k.idempotency_key, k.digest, base + cardinality(p_types), k.result::json, p_at
                from unnest(p_command_keys, p_command_digests, p_command_results)
                    as k (idempotency_key, digest, result);
    end if;
    outcome := 'appended';
end
$$
