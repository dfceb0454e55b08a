CREATE TABLE public.certcore_alembic_version (
    version_num character varying(32) NOT NULL
);



CREATE TABLE public.certcore_authorities (
    id character varying(40) NOT NULL COLLATE pg_catalog."C",
    name character varying(100) NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    module character varying(40) NOT NULL COLLATE pg_catalog."C",
    settings character varying NOT NULL,
    secrets_set character varying NOT NULL,
    version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);



CREATE TABLE public.certcore_certificates (
    id character varying(40) NOT NULL COLLATE pg_catalog."C",
    owner character varying(100) NOT NULL COLLATE pg_catalog."C",
    domain character varying(255) NOT NULL COLLATE pg_catalog."C",
    aliases character varying NOT NULL,
    wildcard boolean NOT NULL,
    subject character varying NOT NULL,
    key_type character varying(20) NOT NULL COLLATE pg_catalog."C",
    renewal_auto boolean NOT NULL,
    renewal_days_before integer,
    renewal_rotate_key boolean NOT NULL,
    authority_id character varying(40) COLLATE pg_catalog."C",
    module_data character varying NOT NULL,
    status character varying(20) NOT NULL COLLATE pg_catalog."C",
    issuance_id character varying(40) COLLATE pg_catalog."C",
    active_issuance_id character varying(40) COLLATE pg_catalog."C",
    not_after bigint,
    problem character varying,
    version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    fallbacks character varying(300) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    csr_pem text
);



CREATE TABLE public.certcore_documents (
    namespace character varying(40) NOT NULL COLLATE pg_catalog."C",
    key character varying(500) NOT NULL COLLATE pg_catalog."C",
    value character varying NOT NULL,
    version integer NOT NULL
);



CREATE TABLE public.certcore_events (
    sequence bigint NOT NULL,
    certificate_id character varying(40) NOT NULL COLLATE pg_catalog."C",
    kind character varying(40) NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    actor text NOT NULL,
    from_status character varying(20) COLLATE pg_catalog."C",
    to_status character varying(20) COLLATE pg_catalog."C",
    data character varying NOT NULL,
    problem character varying,
    number integer NOT NULL,
    hash character varying(64) NOT NULL COLLATE pg_catalog."C"
);



CREATE SEQUENCE public.certcore_events_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;



ALTER SEQUENCE public.certcore_events_sequence_seq OWNED BY public.certcore_events.sequence;



CREATE TABLE public.certcore_issuances (
    id character varying(40) NOT NULL COLLATE pg_catalog."C",
    certificate_id character varying(40) NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    purpose character varying(20) NOT NULL COLLATE pg_catalog."C",
    authority_id character varying(40) COLLATE pg_catalog."C",
    names character varying NOT NULL,
    key_type character varying(20) NOT NULL COLLATE pg_catalog."C",
    key_purpose character varying(40) NOT NULL COLLATE pg_catalog."C",
    key_owner_id character varying(200) NOT NULL COLLATE pg_catalog."C",
    csr_pem text NOT NULL,
    module_state character varying,
    findings character varying,
    outcome character varying(20) COLLATE pg_catalog."C",
    needs_clean_up boolean NOT NULL,
    leaf_pem text,
    chain_pem text,
    leaf character varying,
    problem character varying,
    created_at bigint NOT NULL,
    finished_at bigint,
    serial character varying(64) COLLATE pg_catalog."C",
    fingerprint_sha256 character varying(64) COLLATE pg_catalog."C",
    fingerprint_sha1 character varying(40) COLLATE pg_catalog."C",
    renewal_info character varying,
    authority_failures integer DEFAULT 0 NOT NULL,
    is_keyless boolean DEFAULT false NOT NULL,
    told character varying(300) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C"
);



CREATE TABLE public.certcore_names (
    certificate_id character varying(40) NOT NULL COLLATE pg_catalog."C",
    name character varying(255) NOT NULL COLLATE pg_catalog."C",
    reversed character varying(256) NOT NULL COLLATE pg_catalog."C",
    owner character varying(100) NOT NULL COLLATE pg_catalog."C"
);



CREATE TABLE public.certcore_schedules (
    certificate_id character varying(40) NOT NULL COLLATE pg_catalog."C",
    due_at bigint,
    attempts integer NOT NULL,
    lease_owner character varying(100) NOT NULL COLLATE pg_catalog."C",
    lease_until bigint,
    token bigint NOT NULL,
    needed_by bigint
);



CREATE TABLE public.certcore_secrets (
    purpose character varying(40) NOT NULL COLLATE pg_catalog."C",
    owner_id character varying(200) NOT NULL COLLATE pg_catalog."C",
    key_id character varying(100) NOT NULL COLLATE pg_catalog."C",
    wrapped_key bytea NOT NULL,
    nonce bytea NOT NULL,
    ciphertext bytea NOT NULL
);



CREATE TABLE public.certcore_timelines (
    certificate_id character varying(40) NOT NULL COLLATE pg_catalog."C",
    length integer NOT NULL,
    head character varying(64) NOT NULL COLLATE pg_catalog."C",
    delivered integer NOT NULL,
    due_at bigint,
    behind character varying NOT NULL,
    lease_owner character varying(100) NOT NULL COLLATE pg_catalog."C",
    lease_until bigint,
    token bigint NOT NULL
);



ALTER TABLE ONLY public.certcore_events ALTER COLUMN sequence SET DEFAULT nextval('public.certcore_events_sequence_seq'::regclass);



INSERT INTO public.certcore_alembic_version VALUES ('0006');



INSERT INTO public.certcore_authorities VALUES ('01a15687a7f9beef9c75b41601ae53ae', 'scripted', '', 'scripted', '{"lifetime_days":90,"allow_wildcard":true,"region":"eu","note":"","contacts":[]}', '["api_key"]', 1, 1792453093369761, 1792453093369761);
INSERT INTO public.certcore_authorities VALUES ('01a15687a7fb15f0aef905a5060129ef', 'short', '', 'scripted', '{"lifetime_days":7,"allow_wildcard":true,"region":"eu","note":"","contacts":[]}', '[]', 1, 1792453093371897, 1792453093371897);
INSERT INTO public.certcore_authorities VALUES ('01a224860921751c03a0f222b325e152', 'acme', '', 'puq_acme', '{"ca":"custom","directory_url":"https://127.0.0.1:30402/dir","email":"","terms_agreed":true,"tech_zone":"acme.panel.test","tech_zone_nameservers":[],"allow_wildcard":true,"ttl":30,"api_timeout":10,"account_key_type":"ec_p256","eab_kid":"","eab_url":"","certificate_profile":"","validity_days":0,"preferred_chain":"","challenges":"dns-01","persist_days":0,"check_caa":true,"limits":["orders 300 per 3h","same_names 5 per 7d except ari"],"max_orders":5,"dns_servers":["127.0.0.1:54028"],"trusted_roots":"-----BEGIN CERTIFICATE-----\nMIIBsjCCAVigAwIBAgIUbqt5F+BGjzBGlRESYgXlJoOY6a8wCgYIKoZIzj0EAwIw\nJTEjMCEGA1UEAwwaY2VydGNvcmUgdGhyb3dhd2F5IHRlc3QgQ0EwHhcNMjYxMTI4\nMjIzODEzWhcNMjYxMjA1MjMzODEzWjAlMSMwIQYDVQQDDBpjZXJ0Y29yZSB0aHJv\nd2F3YXkgdGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHrAkiXttylA\nVZ4YLyj8MaMmGDDfrnxwNqva6/ovdGxHkszyGP+jJysCrauGwNVAiUHfHJ+4Vcms\nio4tQA9mQAOjZjBkMB0GA1UdDgQWBBRFy6magpC9c5RdP1MVNCbOi5UcZTAfBgNV\nHSMEGDAWgBRFy6magpC9c5RdP1MVNCbOi5UcZTASBgNVHRMBAf8ECDAGAQH/AgEA\nMA4GA1UdDwEB/wQEAwIBhjAKBggqhkjOPQQDAgNIADBFAiEA+DMqhwcMJj+XVZVN\nDo9cYp8TFdy4WllvfqH+lYpknGwCIGPq2dzNxu0VqwkAp4Lg8aSjGZ3pMLA+cbpF\nkT87hbnj\n-----END CERTIFICATE-----","chain_roots":""}', '[]', 1, 1795909093665098, 1795909093665098);



INSERT INTO public.certcore_certificates VALUES ('01a15687a82393bac9a0e1d726f51210', 'Anna', 'active.example', '[]', false, '{}', 'rsa-2048', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'active', NULL, '01a15687a828915523ea168b21e37803', 1800229093000000, NULL, 2, 1792453093411618, 1792453093493578, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a15687a895fab295d4d4e9238b39aa', '', 'revoked.example', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'revoked', '01a15687a89a1d27a8a62417ac035f05', '01a15687a89a1d27a8a62417ac035f05', 1800229093000000, NULL, 2, 1792453093525328, 1792453093548691, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a15687a87f63d537da6e75d05679bf', '', 'expired.example', '[]', false, '{}', 'ec-p256', false, NULL, true, '01a15687a7fb15f0aef905a5060129ef', '{"order_reference":""}', 'expired', NULL, '01a15687a883facf0dedce7c12b92965', 1793057893000000, NULL, 2, 1792453093502918, 1795909093573226, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a15687a8afc44b171a3a249ba37846', 'anna', 'renewing.example', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'active', '01a2248608c8bca9131671f1c5a1e714', '01a15687a8b36bedad64e26bda68a7ae', 1800229093000000, NULL, 3, 1792453093551357, 1795909093577527, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a2248608d11fee7c0df1d54b9dbc8f', 'anna', 'error.example', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'error', '01a2248608d557051ac594af22f117e5', NULL, NULL, '{"type":"urn:scripted:fail_never","title":"The scripted CA refuses.","detail":"fail_never","advice":"Wait."}', 2, 1795909093585434, 1795909093597015, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a2248608df7e95ada71939c0c8eead', '', 'pending.example', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'pending', '01a2248608e3ab77846bc7752fe57cda', NULL, NULL, NULL, 2, 1795909093599425, 1795909093610855, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a2248608ed5a92e578c531607bd99c', '', 'processing.example', '["www.processing.example"]', false, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'processing', '01a2248608f1ffebf748224fb4cdb7a9', NULL, NULL, NULL, 2, 1795909093613195, 1795909093624794, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a2248609124e927216ba51ea51c433', 'bruno', 'imported.example', '[]', false, '{}', 'ec-p256', true, NULL, true, NULL, '{}', 'active', NULL, '01a22486091269aa83328070644ba600', 1803685093000000, NULL, 1, 1795909093650676, 1795909093650676, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a22486091a9e52de1996c35c01dfa9', 'bruno', 'imported-without-key.example', '[]', false, '{}', 'ec-p256', true, NULL, true, NULL, '{}', 'active', NULL, '01a22486091a30138365e9543bb1cc89', 1801093093000000, NULL, 1, 1795909093658903, 1795909093658903, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a224860922d9a9cb598ed55149e9f5', 'anna', 'a.shop.test', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a224860921751c03a0f222b325e152', '{"account_email":"","terms_agreed":false,"challenge":"","certificate_profile":""}', 'active', NULL, '01a224860928824866b0950ac3e343be', 1953675492000000, NULL, 2, 1795909093666166, 1795909093971369, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a22486092eb434c9649122ead763a6', 'anna', 'b.shop.test', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a224860921751c03a0f222b325e152', '{"account_email":"","terms_agreed":false,"challenge":"","certificate_profile":""}', 'processing', '01a2248609341a562db24df98df37d46', NULL, NULL, NULL, 2, 1795909093678368, 1795909094048988, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a22486093a04ee067bc46f5e2fb44b', 'anna', 'c.shop.test', '[]', false, '{}', 'ec-p256', true, NULL, true, '01a224860921751c03a0f222b325e152', '{"account_email":"","terms_agreed":false,"challenge":"","certificate_profile":""}', 'pending', '01a22486093f7d0b29bdbb0f522277f6', NULL, NULL, NULL, 2, 1795909093690071, 1795909094065611, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a15687a806088dfca2e96c71a37237', 'anna', 'active.example', '[]', true, '{}', 'ec-p256', true, 20, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'active', '01a224860ab8ac2346a802caf953e90a', '01a15687a80c2ba2129a52860c7ce65a', 1800229093000000, NULL, 4, 1792453093382198, 1795909094073178, '', NULL);
INSERT INTO public.certcore_certificates VALUES ('01a15687a7fc6317f90ed6292596d3cc', '', 'draft.example', '["mail.draft.example"]', true, '{}', 'ec-p256', true, NULL, true, '01a15687a7f9beef9c75b41601ae53ae', '{"order_reference":""}', 'draft', NULL, NULL, NULL, NULL, 3, 1792453093372483, 1795909094090173, '', NULL);



INSERT INTO public.certcore_documents VALUES ('certcore-engine', 'observers', '{"moody":"2026-11-28T23:38:13.627206+00:00","steady":"2026-11-28T23:38:13.627206+00:00"}', 1);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'directory/01a224860921751c03a0f222b325e152', '{"url":"https://127.0.0.1:30402/dir","terms_of_service":"data:text/plain,Do%20what%20thou%20wilt","website":"","external_account_required":false,"profiles":{},"caa_identities":[],"issuer_names":[],"account_hash_prefix":"","renewal_info":false,"fetched_at":"2026-11-28T23:38:13.746373+00:00"}', 1);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'account/01a224860921751c03a0f222b325e152/ada11027083641c5', '{"url":"https://127.0.0.1:30402/my-account/77478dab6e0c0810","directory":"https://127.0.0.1:30402/dir","owner":"","contact":"","contact_found":false,"contact_refused":null,"contact_problem":"","status":"valid","key":0,"next_key":null,"rolling_at":null,"spare_keys":[],"thumbprints":["5Sad8H5vkKEd-hT2F_tDCRZNnnX6FSGjGQUTRo6qqwk"],"terms_of_service":"data:text/plain,Do%20what%20thou%20wilt","terms_agreed_at":"2026-11-28T23:38:13.770259+00:00","opened_at":"2026-11-28T23:38:13.770259+00:00","trusted_roots":"-----BEGIN CERTIFICATE-----\nMIIBsjCCAVigAwIBAgIUbqt5F+BGjzBGlRESYgXlJoOY6a8wCgYIKoZIzj0EAwIw\nJTEjMCEGA1UEAwwaY2VydGNvcmUgdGhyb3dhd2F5IHRlc3QgQ0EwHhcNMjYxMTI4\nMjIzODEzWhcNMjYxMjA1MjMzODEzWjAlMSMwIQYDVQQDDBpjZXJ0Y29yZSB0aHJv\nd2F3YXkgdGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHrAkiXttylA\nVZ4YLyj8MaMmGDDfrnxwNqva6/ovdGxHkszyGP+jJysCrauGwNVAiUHfHJ+4Vcms\nio4tQA9mQAOjZjBkMB0GA1UdDgQWBBRFy6magpC9c5RdP1MVNCbOi5UcZTAfBgNV\nHSMEGDAWgBRFy6magpC9c5RdP1MVNCbOi5UcZTASBgNVHRMBAf8ECDAGAQH/AgEA\nMA4GA1UdDwEB/wQEAwIBhjAKBggqhkjOPQQDAgNIADBFAiEA+DMqhwcMJj+XVZVN\nDo9cYp8TFdy4WllvfqH+lYpknGwCIGPq2dzNxu0VqwkAp4Lg8aSjGZ3pMLA+cbpF\nkT87hbnj\n-----END CERTIFICATE-----","history":[{"at":"2026-11-28T23:38:13.770259+00:00","what":"Opened or found: https://127.0.0.1:30402/my-account/77478dab6e0c0810","actor":"engine"}]}', 1);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'budget/ca/ada11027083641c5481da7d63ce1706b/same_names/10080/3b21f43ac347468745a3c4d40f4c4815', '{"all":{"placed":[1795909093719],"promised":{}},"reserve":{"placed":[],"promised":{}}}', 1);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'budget/account/c1e9a522ca925243548aa687a24671b3/orders/180', '{"all":{"placed":[1795909093719,1795909094044],"promised":{}},"reserve":{"placed":[],"promised":{}}}', 2);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'budget/ca/ada11027083641c5481da7d63ce1706b/flight', '{"01a2248609341a562db24df98df37d46":"2026-11-28T23:38:14.043531+00:00"}', 3);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'budget/ca/ada11027083641c5481da7d63ce1706b/same_names/10080/92396f78664430dd90a28109eb8f4dd2', '{"all":{"placed":[1795909094044],"promised":{}},"reserve":{"placed":[],"promised":{}}}', 1);
INSERT INTO public.certcore_documents VALUES ('puq_acme', 'txt/test.panel.acme.2mfowetsiktcz3myhi36gd7deb/01a2248609341a562db24df98df37d46/XrUsS-lMsRLBiUCLsO_Q-cOcGacccyFHkNW0he4B6UA', '{"value":"XrUsS-lMsRLBiUCLsO_Q-cOcGacccyFHkNW0he4B6UA","issuance":"01a2248609341a562db24df98df37d46","added_at":"2026-11-28T23:38:14.057380+00:00"}', 1);



INSERT INTO public.certcore_events VALUES (1, '01a15687a7fc6317f90ed6292596d3cc', 'created', 1792453093379379, 'system', NULL, 'draft', '{}', NULL, 1, '7540236cccebc7f34d702abca1fa252740afcd648f651a8004bb374542720a4d');
INSERT INTO public.certcore_events VALUES (2, '01a15687a806088dfca2e96c71a37237', 'created', 1792453093384671, 'system', NULL, 'draft', '{}', NULL, 1, '939fd16b430d89c27bdde1a72d4b8a20f1dad512e65f20c9fa335b4ef03f10ad');
INSERT INTO public.certcore_events VALUES (3, '01a15687a806088dfca2e96c71a37237', 'csr_generated', 1792453093396738, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, 'd29c7599b6444efe7ebf9a82af11af67c7048faf41508879807632c8e2572b22');
INSERT INTO public.certcore_events VALUES (4, '01a15687a806088dfca2e96c71a37237', 'installed', 1792453093401860, 'engine', 'pending', 'active', '{"serial":"67baa77a0e0db660235ff35056122691750d9452","not_after":"2027-01-17T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["active.example","*.active.example"],"purpose":"issue"}', NULL, 3, 'ee222e0b2d9ae607546d1ca8df25b6dbd41a814b4d44b9fb3b48d7fd7a81b5ba');
INSERT INTO public.certcore_events VALUES (5, '01a15687a82393bac9a0e1d726f51210', 'created', 1792453093413801, 'system', NULL, 'draft', '{}', NULL, 1, '45fb1ba4f4cf4fade408581ab3283af07cbd9b4bdb308eedb27a6c28ca6a22fa');
INSERT INTO public.certcore_events VALUES (6, '01a15687a82393bac9a0e1d726f51210', 'csr_generated', 1792453093489108, 'system', 'draft', 'pending', '{"number":1,"key_type":"rsa-2048"}', NULL, 2, '9b8281a0335d1d7982e3cd6846a3515e557b1bef7d67387a58b306c6d7987545');
INSERT INTO public.certcore_events VALUES (7, '01a15687a82393bac9a0e1d726f51210', 'installed', 1792453093493578, 'engine', 'pending', 'active', '{"serial":"33f5ee4a331887511136e8592ac8aa9e7e5b9a32","not_after":"2027-01-17T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["active.example"],"purpose":"issue"}', NULL, 3, 'b482a0d5b7acf1c1d94f65f478842e5c32dd938822bcce12c62664bdac7ebd8c');
INSERT INTO public.certcore_events VALUES (8, '01a15687a87f63d537da6e75d05679bf', 'created', 1792453093505437, 'system', NULL, 'draft', '{}', NULL, 1, 'a4e24f0d2fcf59a08ea72426367abf795e93509e24e7fdc3bba0ae33672d4a12');
INSERT INTO public.certcore_events VALUES (9, '01a15687a87f63d537da6e75d05679bf', 'csr_generated', 1792453093512810, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '01a3e861fa97facbe093441dcb0ec853677021ccea8aba1c65dd51c8d09145c9');
INSERT INTO public.certcore_events VALUES (10, '01a15687a87f63d537da6e75d05679bf', 'installed', 1792453093516621, 'engine', 'pending', 'active', '{"serial":"38b771f011922a4dedc15a070aa78300b3b87491","not_after":"2026-10-26T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["expired.example"],"purpose":"issue"}', NULL, 3, 'b7f01dbdd26f485485dac5a639ef55d2c47419bc51350c90227ee686fa36e39e');
INSERT INTO public.certcore_events VALUES (11, '01a15687a895fab295d4d4e9238b39aa', 'created', 1792453093527681, 'system', NULL, 'draft', '{}', NULL, 1, '83d7869f57a51008488e7133d4a8d3acc364eed1664865c74d054dd77fb0ad8f');
INSERT INTO public.certcore_events VALUES (12, '01a15687a895fab295d4d4e9238b39aa', 'csr_generated', 1792453093535039, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '9f82a1226aa10deeee41104f90b8d090079672547f563a734e5880604166d02d');
INSERT INTO public.certcore_events VALUES (13, '01a15687a895fab295d4d4e9238b39aa', 'installed', 1792453093538722, 'engine', 'pending', 'active', '{"serial":"f43a4b9e303bfd27622b182473d420e779bb825","not_after":"2027-01-17T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["revoked.example"],"purpose":"issue"}', NULL, 3, '3c4f650f9e2c08479f508f9e029f2502b334e135116b5891b51280b9e48f8b1e');
INSERT INTO public.certcore_events VALUES (14, '01a15687a895fab295d4d4e9238b39aa', 'revoked', 1792453093548691, 'system', 'active', 'revoked', '{"reason":"superseded","serial":"f43a4b9e303bfd27622b182473d420e779bb825"}', NULL, 4, 'd197baf3ab55a6da22c55bd5b1c1cd5d0bf8fa47be7bfd41cb472b2bdbe85d22');
INSERT INTO public.certcore_events VALUES (15, '01a15687a8afc44b171a3a249ba37846', 'created', 1792453093553615, 'system', NULL, 'draft', '{}', NULL, 1, '552dc8e352010dcc399d1a7ba43898200005a71a4239c4c6bdb982511524b9af');
INSERT INTO public.certcore_events VALUES (16, '01a15687a8afc44b171a3a249ba37846', 'csr_generated', 1792453093560179, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '2451d935242fe30f3faa1a61400658d795ecc7a8f4b558be28a40c5698967afe');
INSERT INTO public.certcore_events VALUES (17, '01a15687a8afc44b171a3a249ba37846', 'installed', 1792453093563609, 'engine', 'pending', 'active', '{"serial":"1b1e3fa712c6fb9e35b74a9ce30e2fbf302c6e3a","not_after":"2027-01-17T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["renewing.example"],"purpose":"issue"}', NULL, 3, 'a2cb6cb01e56a18639691fcc77c6a2ebd5a9a542351789ea0710a2929d7b54db');
INSERT INTO public.certcore_events VALUES (18, '01a15687a87f63d537da6e75d05679bf', 'expired', 1795909093573226, 'engine', 'active', 'expired', '{}', NULL, 4, 'd4fb46980cda4e099c7c29c54d8a22c44bb385c1af5938a5beecb7eb5426e43a');
INSERT INTO public.certcore_events VALUES (19, '01a15687a8afc44b171a3a249ba37846', 'renewal_started', 1795909093580953, 'system', 'active', 'active', '{"number":2,"key_type":"ec-p256"}', NULL, 4, '1bccbf580c46d4d3f9f92ce1140573121efcbfdee59c535af2d9bc5c6d942bbb');
INSERT INTO public.certcore_events VALUES (20, '01a2248608d11fee7c0df1d54b9dbc8f', 'created', 1795909093587427, 'system', NULL, 'draft', '{}', NULL, 1, '38bb9332d0b337b4344957bab43b72620ba90d1626bf29fac823aed39d1b2045');
INSERT INTO public.certcore_events VALUES (21, '01a2248608d11fee7c0df1d54b9dbc8f', 'csr_generated', 1795909093594064, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, 'fffbcb726fc46b3b02664ad1324997e9ae044f6f10af46ee0bc19da8e395fdba');
INSERT INTO public.certcore_events VALUES (22, '01a2248608d11fee7c0df1d54b9dbc8f', 'failed', 1795909093597015, 'engine', 'pending', 'error', '{"attempt":1}', '{"type":"urn:scripted:fail_never","title":"The scripted CA refuses.","detail":"fail_never","advice":"Wait."}', 3, '539df8ea20956b118685944e8d5ab171e59df5338c977f07d610ac3d27815afe');
INSERT INTO public.certcore_events VALUES (23, '01a2248608df7e95ada71939c0c8eead', 'created', 1795909093601560, 'system', NULL, 'draft', '{}', NULL, 1, 'eb645a8f117226a9569e0c51d4e8a0b9b15c362bb2ec4261e7f8c28bc0733adb');
INSERT INTO public.certcore_events VALUES (24, '01a2248608df7e95ada71939c0c8eead', 'csr_generated', 1795909093607868, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '4b9239f000be956f8bb86e2cf6f5bab6ce46233baea6a074b064a42b7469131a');
INSERT INTO public.certcore_events VALUES (25, '01a2248608df7e95ada71939c0c8eead', 'waiting', 1795909093610855, 'engine', 'pending', 'pending', '{}', NULL, 3, 'a30df19282f62baa917dc5a7777a717ee69689e58a2c530d7183cb7d34152cdc');
INSERT INTO public.certcore_events VALUES (26, '01a2248608ed5a92e578c531607bd99c', 'created', 1795909093615438, 'system', NULL, 'draft', '{}', NULL, 1, '7449d7a021bab68475efe3d9e93fee153438af53ae3d1c3ad48b6300a2cd0f4f');
INSERT INTO public.certcore_events VALUES (27, '01a2248608ed5a92e578c531607bd99c', 'csr_generated', 1795909093621953, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, 'c4d52933ac46e51f370fa32b6eaa032b1394d29106ac07cf07ba0bc0022e54c4');
INSERT INTO public.certcore_events VALUES (28, '01a2248608ed5a92e578c531607bd99c', 'processing', 1795909093624794, 'engine', 'pending', 'processing', '{}', NULL, 3, '33c615014feb6304eb957d3dbee435936ad4a65611b36cf9d342a2243685444a');
INSERT INTO public.certcore_events VALUES (29, '01a2248609124e927216ba51ea51c433', 'imported', 1795909093654859, 'system', NULL, 'active', '{"serial":"43a951ce0c462d974e4286f873164cc9039ff70","not_after":"2027-02-26T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["imported.example"],"has_key":true,"warnings":[]}', NULL, 1, 'dd5373678135b3a8473872b9b176983e6925b2e6955de19c347059b31326293f');
INSERT INTO public.certcore_events VALUES (30, '01a22486091a9e52de1996c35c01dfa9', 'imported', 1795909093661943, 'system', NULL, 'active', '{"serial":"2418b7e6f9784746d88866cd87388641b44d6d8","not_after":"2027-01-27T23:38:13+00:00","issuer":"CN=Little CA Intermediate","names":["imported-without-key.example"],"has_key":false,"warnings":["There is no private key: the certificate can be watched, but no server can be given it."]}', NULL, 1, '45f0781a5b796a0ff2152d507d3ba79f7da3726c99a2c9881c0df96d2d4a4c5b');
INSERT INTO public.certcore_events VALUES (31, '01a224860922d9a9cb598ed55149e9f5', 'created', 1795909093669542, 'system', NULL, 'draft', '{}', NULL, 1, 'fbb95fcd7b9402d312d1ec175ca85f7fa974b87226f66a775abba3ac9933ea47');
INSERT INTO public.certcore_events VALUES (32, '01a224860922d9a9cb598ed55149e9f5', 'csr_generated', 1795909093677525, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '9554e2ab25a0999a4423b1f14ebd74e670bd9ffa2c441ae867cd2b763a192868');
INSERT INTO public.certcore_events VALUES (33, '01a22486092eb434c9649122ead763a6', 'created', 1795909093681195, 'system', NULL, 'draft', '{}', NULL, 1, '071a6a1386fb390354f014c5cfc31832940b6877668f3a91a5257c94e7572e58');
INSERT INTO public.certcore_events VALUES (34, '01a22486092eb434c9649122ead763a6', 'csr_generated', 1795909093689190, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '32640dec3801da2c735d71ddbc04e04a9324f0fe2ffd82f5e43cff08cd5023aa');
INSERT INTO public.certcore_events VALUES (35, '01a22486093a04ee067bc46f5e2fb44b', 'created', 1795909093692643, 'system', NULL, 'draft', '{}', NULL, 1, '2f805540237a7f54cfb5cb52f46e6a0fd628ab51443e503ce48c9212945c9b5d');
INSERT INTO public.certcore_events VALUES (36, '01a22486093a04ee067bc46f5e2fb44b', 'csr_generated', 1795909093700303, 'system', 'draft', 'pending', '{"number":1,"key_type":"ec-p256"}', NULL, 2, '140ddffedf1fb8a9e460ea9267887829c43c19cbe1945528ba9a856b5b49ead1');
INSERT INTO public.certcore_events VALUES (37, '01a224860922d9a9cb598ed55149e9f5', 'check_requested', 1795909093712270, 'system', 'pending', 'pending', '{}', NULL, 3, '4f439b3d4227d6d9cbc8f124f7e9ce68e92741429c49426cbba02c03854b4a2e');
INSERT INTO public.certcore_events VALUES (38, '01a224860922d9a9cb598ed55149e9f5', 'processing', 1795909093779293, 'engine', 'pending', 'processing', '{}', NULL, 4, 'a4412fab4a46032dd3c9d15c581d5f215c00bd44cd140af6a3c158521d5b3de0');
INSERT INTO public.certcore_events VALUES (39, '01a224860922d9a9cb598ed55149e9f5', 'check_requested', 1795909093834236, 'system', 'processing', 'processing', '{}', NULL, 5, '73da280e87ef0b5394da544c761b1e1f8d3dcfd2d763a5d6ee6ab39fd762e6ae');
INSERT INTO public.certcore_events VALUES (40, '01a224860922d9a9cb598ed55149e9f5', 'check_requested', 1795909093898745, 'system', 'processing', 'processing', '{}', NULL, 6, 'def98f15138a1b3335d99b214551804e2cf84b52e4551bf6d666f9d15b63be07');
INSERT INTO public.certcore_events VALUES (41, '01a224860922d9a9cb598ed55149e9f5', 'check_requested', 1795909093959813, 'system', 'processing', 'processing', '{}', NULL, 7, 'e4190bab52d7e1a604de14750f6f967e4d905c139ca5dc4788245256297680ee');
INSERT INTO public.certcore_events VALUES (42, '01a224860922d9a9cb598ed55149e9f5', 'installed', 1795909093971369, 'engine', 'processing', 'active', '{"serial":"4cb0c4c822da08e0","not_after":"2031-11-28T23:38:12+00:00","issuer":"CN=Pebble Intermediate CA 6d68ca","names":["a.shop.test"],"purpose":"issue"}', NULL, 8, 'fb1ecff48a551f426fd5364d487d816324499d78d45a5e5a38930b5ca4422505');
INSERT INTO public.certcore_events VALUES (43, '01a22486092eb434c9649122ead763a6', 'check_requested', 1795909094034022, 'system', 'pending', 'pending', '{}', NULL, 3, '9314ca7b4a695359ab2588920a69860914bfab4eb1af7a854377cc83c74e42fd');
INSERT INTO public.certcore_events VALUES (44, '01a22486092eb434c9649122ead763a6', 'processing', 1795909094048988, 'engine', 'pending', 'processing', '{}', NULL, 4, '7aa0d9b39c767bc69d58aa5dd0b7a48f8bd827eb29802d94385c9fefe0487698');
INSERT INTO public.certcore_events VALUES (45, '01a22486092eb434c9649122ead763a6', 'check_requested', 1795909094053179, 'system', 'processing', 'processing', '{}', NULL, 5, '6a7b03a788e1eb5f57847a9639835423a56a4fda36db4a6ddda7066e3c70f9e5');
INSERT INTO public.certcore_events VALUES (46, '01a22486093a04ee067bc46f5e2fb44b', 'waiting', 1795909094065611, 'engine', 'pending', 'pending', '{}', NULL, 3, '640c73ff6a4d785fb89c83ec6278db02a01be6f3ff0ebef8bfc688a1c72c61e0');
INSERT INTO public.certcore_events VALUES (47, '01a15687a806088dfca2e96c71a37237', 'edited', 1795909094070268, 'anna', NULL, 'active', '{"fields":["renewal"],"version":3,"changes":{"renewal":{"from":{"auto":true,"days_before":null,"rotate_key":true},"to":{"auto":true,"days_before":20,"rotate_key":true}}}}', NULL, 4, '93565ac4e2060c39806fc906cb64093b8d182b081998ec0d6ac67da8f3d58153');
INSERT INTO public.certcore_events VALUES (48, '01a15687a806088dfca2e96c71a37237', 'renewal_started', 1795909094075838, 'system', 'active', 'active', '{"number":2,"key_type":"ec-p256"}', NULL, 5, 'fe303b694c4ed6f5196d0abe0cbf8559ff891d823effc4df5b3ac3fbd9883644');
INSERT INTO public.certcore_events VALUES (49, '01a15687a7fc6317f90ed6292596d3cc', 'edited', 1795909094079151, 'anna', NULL, 'draft', '{"fields":["aliases"],"version":2,"changes":{"aliases":{"from":["www.draft.example"],"to":["mail.draft.example"]}}}', NULL, 2, 'd55b064eb4502962d3fe81f802502e5d1794de8b7ba021d6d70099cf4c03071f');
INSERT INTO public.certcore_events VALUES (50, '01a15687a7fc6317f90ed6292596d3cc', 'edited', 1795909094092432, 'anna', NULL, 'draft', '{"fields":["wildcard"],"version":3,"changes":{"wildcard":{"from":false,"to":true}}}', NULL, 3, '66515ffbf84b0afe784bab15bc9a9f8b386eca552cb2db740941e797472c9661');
INSERT INTO public.certcore_events VALUES (51, '01a224860acd5ef5c991f662cb9f2f8b', 'created', 1795909094095593, 'system', NULL, 'draft', '{}', NULL, 1, '951f0c5bd288a79cb9981d7f147eb70c77c036a52fe74818cecb5b8c383da240');
INSERT INTO public.certcore_events VALUES (52, '01a224860acd5ef5c991f662cb9f2f8b', 'deleted', 1795909094099776, 'system', NULL, 'draft', '{"domain":"deleted.example","owner":""}', NULL, 2, '0c471cc116c187510b386f3542b20d65ce57170796be68f13d74a1aa464d7f17');
INSERT INTO public.certcore_events VALUES (53, '01a2248608df7e95ada71939c0c8eead', 'check_requested', 1795909094100748, 'system', 'pending', 'pending', '{}', NULL, 4, 'bcdb23e5a09cfd22d430ce7b4fa6b9b6b0171b52a0dbffcea4c160f46282b029');
INSERT INTO public.certcore_events VALUES (54, '01a15687a806088dfca2e96c71a37237', 'key_revealed', 1795909094111834, 'system', 'active', 'active', '{"reason":"test data","issuance":1}', NULL, 6, '50d6047eca2785d21afaa28525709feee2db9d8d2b9553724bc0115b3d3c1fa9');
INSERT INTO public.certcore_events VALUES (55, '01a15687a82393bac9a0e1d726f51210', 'key_revealed', 1795909094117579, 'system', 'active', 'active', '{"reason":"test data","issuance":1}', NULL, 4, 'a42624921fdd73a4f2e3d0bdbd06b997508a61176bb1ecef6bc81d19025c4b13');
INSERT INTO public.certcore_events VALUES (56, '01a15687a87f63d537da6e75d05679bf', 'key_revealed', 1795909094123289, 'system', 'expired', 'expired', '{"reason":"test data","issuance":1}', NULL, 5, 'b0862236c6c1785a6d1301517cca39d83c7ecf6c2cfdafb637007bf191ff7112');
INSERT INTO public.certcore_events VALUES (57, '01a15687a895fab295d4d4e9238b39aa', 'key_revealed', 1795909094129027, 'system', 'revoked', 'revoked', '{"reason":"test data","issuance":1}', NULL, 5, 'a0da528a51aa0b7e1a6056ac13ee548d718aaa760a35d33f2f9c406993831407');
INSERT INTO public.certcore_events VALUES (58, '01a15687a8afc44b171a3a249ba37846', 'key_revealed', 1795909094136367, 'system', 'active', 'active', '{"reason":"test data","issuance":1}', NULL, 5, '7e498c96241f94b0f1cbd6faa113fe4d331ceb00841151b25ef8cfeaf06a7811');
INSERT INTO public.certcore_events VALUES (59, '01a2248609124e927216ba51ea51c433', 'key_revealed', 1795909094161160, 'system', 'active', 'active', '{"reason":"test data","issuance":1}', NULL, 2, '8a201b03857d6ee09ff356dc0164f61c2a79eba6063d9e59bd106a248a115dc2');
INSERT INTO public.certcore_events VALUES (60, '01a224860922d9a9cb598ed55149e9f5', 'key_revealed', 1795909094174952, 'system', 'active', 'active', '{"reason":"test data","issuance":1}', NULL, 9, 'f7f8f60c1476db4fddf8b2f07b3c9c8554809af0def457296e3128520b73b1e9');



INSERT INTO public.certcore_issuances VALUES ('01a15687a80c2ba2129a52860c7ce65a', '01a15687a806088dfca2e96c71a37237', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["active.example","*.active.example"]', 'ec-p256', 'certificate-key', '01a15687a80c2ba2129a52860c7ce65a', '-----BEGIN CERTIFICATE REQUEST-----
MIIBEzCBuQIBADAZMRcwFQYDVQQDDA5hY3RpdmUuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABNlcVsAZdStWPupxd1MZIdilq++drSAD9ktVe9qV7wg9
GabsEldCsIC7qFa55weaUCbp8uZQROy/FwwCN6iGK7KgPjA8BgkqhkiG9w0BCQ4x
LzAtMCsGA1UdEQQkMCKCDmFjdGl2ZS5leGFtcGxlghAqLmFjdGl2ZS5leGFtcGxl
MAoGCCqGSM49BAMCA0kAMEYCIQCvjvbROY2tHkOm3emErKnre44MteULnPgGtTXs
S8KJUwIhALq9fJtHs4QiHNhytxWTgQHcf5xmQZsKhm0nxXHBlvx4
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIBzzCCAXagAwIBAgIUZ7qneg4NtmAjX/NQVhImkXUNlFIwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjEwMTkyMjM4
MTNaFw0yNzAxMTcyMzM4MTNaMBkxFzAVBgNVBAMMDmFjdGl2ZS5leGFtcGxlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2VxWwBl1K1Y+6nF3Uxkh2KWr752tIAP2
S1V72pXvCD0ZpuwSV0KwgLuoVrnnB5pQJuny5lBE7L8XDAI3qIYrsqOBkzCBkDAd
BgNVHQ4EFgQUE7x4K12NWx+HGBxMmMxFKqn14jgwKwYDVR0RBCQwIoIOYWN0aXZl
LmV4YW1wbGWCECouYWN0aXZlLmV4YW1wbGUwDAYDVR0TAQH/BAIwADATBgNVHSUE
DDAKBggrBgEFBQcDATAfBgNVHSMEGDAWgBSFckWLpJmPOLt74W+uC/OMChGovjAK
BggqhkjOPQQDAgNHADBEAiA6QpzKHAE1Mlc5LaUwF2aMJplokc2Ahv77x9sYLdsr
dAIga2mN6MXX3YEv+JdYGDABKpti3xX9F0F/lOsul/lJ4Gg=
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIULgiaQMr7fFE3lJASEInJBDV2zncwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMDI0MjMzODEzWhcNNDYx
MDE0MjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaCLzedjcaINQzOEDPmKhn1LQDCMK+hQ
qaMESbwtAMMOngH9zLoX6/9gOfzRZ0oj89ImNAZH14M+QWBrPei756NmMGQwHQYD
VR0OBBYEFIVyRYukmY84u3vhb64L84wKEai+MBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFKTdTawkn/QDrPgk+tycHPZx5UhY
MAoGCCqGSM49BAMCA0cAMEQCIBiuqaUIKc5HKAYXViBV/DKLjd0x08uUliE8H3rv
W63WAiBQHDALHAR9BFIWGOn1q6Kiy4XNOcvmpxShIsLxAkybpg==
-----END CERTIFICATE-----
', '{"names":["active.example","*.active.example"],"subject":"CN=active.example","issuer":"CN=Little CA Intermediate","serial_hex":"67baa77a0e0db660235ff35056122691750d9452","not_before":"2026-10-19T22:38:13+00:00","not_after":"2027-01-17T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"755f503058d2687108a32e4035c077f51e16b8c5a5ad7cc8ac356cffb4918965","fingerprint_sha1":"b7d5a976e29cf0103d3297b48945bb0141a1b419","spki_sha256":"49c4318bba7b89881286e0a7a30a2a7b4f0f43c337b773a7a368f9a952cd1916"}', NULL, 1792453093389430, 1792453093401860, '67baa77a0e0db660235ff35056122691750d9452', '755f503058d2687108a32e4035c077f51e16b8c5a5ad7cc8ac356cffb4918965', 'b7d5a976e29cf0103d3297b48945bb0141a1b419', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a15687a89a1d27a8a62417ac035f05', '01a15687a895fab295d4d4e9238b39aa', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["revoked.example"]', 'ec-p256', 'certificate-key', '01a15687a89a1d27a8a62417ac035f05', '-----BEGIN CERTIFICATE REQUEST-----
MIIBATCBqQIBADAaMRgwFgYDVQQDDA9yZXZva2VkLmV4YW1wbGUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATjDvW7FmPYs/WHxJ3CD7bENPfeKfJDvO01fUE9oxRj
5rjECuh+sXmSR/we0MIfH8YasrTXDjZXkfQBuHjtLbWzoC0wKwYJKoZIhvcNAQkO
MR4wHDAaBgNVHREEEzARgg9yZXZva2VkLmV4YW1wbGUwCgYIKoZIzj0EAwIDRwAw
RAIgXa1fCIR/ZBje7q2beWtFH+rIwPTruHCMhSBGe8zCdpYCIGodIVBv36AcYqzb
68LJdK6CZRzIqs30TWkkuZH7e/Ds
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIBvzCCAWWgAwIBAgIUD0OkueMDv9J2IrGCRz1CDnebuCUwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjEwMTkyMjM4
MTNaFw0yNzAxMTcyMzM4MTNaMBoxGDAWBgNVBAMMD3Jldm9rZWQuZXhhbXBsZTBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABOMO9bsWY9iz9YfEncIPtsQ0994p8kO8
7TV9QT2jFGPmuMQK6H6xeZJH/B7Qwh8fxhqytNcONleR9AG4eO0ttbOjgYEwfzAd
BgNVHQ4EFgQUbp6XTPnqCjQxh9gcn2pJnYPjT4EwGgYDVR0RBBMwEYIPcmV2b2tl
ZC5leGFtcGxlMAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHwYD
VR0jBBgwFoAUhXJFi6SZjzi7e+FvrgvzjAoRqL4wCgYIKoZIzj0EAwIDSAAwRQIh
AKQPDl9Br2Gxxs7LpjeDpX+d4jd44nAHTh0MAmfYEGUiAiATqyQaE93iCNEr0LKl
IOt6tb3zg9UtZtOYxzrKEIK2Sg==
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIULgiaQMr7fFE3lJASEInJBDV2zncwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMDI0MjMzODEzWhcNNDYx
MDE0MjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaCLzedjcaINQzOEDPmKhn1LQDCMK+hQ
qaMESbwtAMMOngH9zLoX6/9gOfzRZ0oj89ImNAZH14M+QWBrPei756NmMGQwHQYD
VR0OBBYEFIVyRYukmY84u3vhb64L84wKEai+MBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFKTdTawkn/QDrPgk+tycHPZx5UhY
MAoGCCqGSM49BAMCA0cAMEQCIBiuqaUIKc5HKAYXViBV/DKLjd0x08uUliE8H3rv
W63WAiBQHDALHAR9BFIWGOn1q6Kiy4XNOcvmpxShIsLxAkybpg==
-----END CERTIFICATE-----
', '{"names":["revoked.example"],"subject":"CN=revoked.example","issuer":"CN=Little CA Intermediate","serial_hex":"f43a4b9e303bfd27622b182473d420e779bb825","not_before":"2026-10-19T22:38:13+00:00","not_after":"2027-01-17T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"6d1933c80f9d8e41fd66e8670da0c11737646c34fcfb8e1da712094ee74533fa","fingerprint_sha1":"a9f51832d917d5c64d0163593fc0e7477f6907b6","spki_sha256":"e324288f1975a739e6840921033fa433fc2bcc054898fc3fdd5e051fe1fd87b4"}', NULL, 1792453093530635, 1792453093538722, 'f43a4b9e303bfd27622b182473d420e779bb825', '6d1933c80f9d8e41fd66e8670da0c11737646c34fcfb8e1da712094ee74533fa', 'a9f51832d917d5c64d0163593fc0e7477f6907b6', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a15687a8b36bedad64e26bda68a7ae', '01a15687a8afc44b171a3a249ba37846', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["renewing.example"]', 'ec-p256', 'certificate-key', '01a15687a8b36bedad64e26bda68a7ae', '-----BEGIN CERTIFICATE REQUEST-----
MIIBAzCBqwIBADAbMRkwFwYDVQQDDBByZW5ld2luZy5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEEBBDZycbZqajtvCA8lTuUttDM+x7TSVwxIa46tDf
uAU1Dm8gEA+Vk9RdDG2BLd5aC6H6oXudQVhXhZYAZCChkqAuMCwGCSqGSIb3DQEJ
DjEfMB0wGwYDVR0RBBQwEoIQcmVuZXdpbmcuZXhhbXBsZTAKBggqhkjOPQQDAgNH
ADBEAiBdMtbiKRRyLN6laRP5uqWTDiAnvNr1J0wUPo/uYBlUYwIge9QbLR0qohNF
prXxRXtMiViPUXpuCT7wfd+t828fSso=
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIBwTCCAWigAwIBAgIUGx4/pxLG+541t0qc4w4vvzAsbjowCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjEwMTkyMjM4
MTNaFw0yNzAxMTcyMzM4MTNaMBsxGTAXBgNVBAMMEHJlbmV3aW5nLmV4YW1wbGUw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQQEENnJxtmpqO28IDyVO5S20Mz7HtN
JXDEhrjq0N+4BTUObyAQD5WT1F0MbYEt3loLofqhe51BWFeFlgBkIKGSo4GDMIGA
MB0GA1UdDgQWBBSJQvEarKaSUOK9nISRTlc9ln2V3zAbBgNVHREEFDASghByZW5l
d2luZy5leGFtcGxlMAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEw
HwYDVR0jBBgwFoAUhXJFi6SZjzi7e+FvrgvzjAoRqL4wCgYIKoZIzj0EAwIDRwAw
RAIgUwXR9K34sRMb+XeIwq7iDzNx75/E7+8WDUWPKyyZhpoCIG8RGgVhcM+tZp5A
AFNCbd/iISF0fHwIdtvzzEvm/96A
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIULgiaQMr7fFE3lJASEInJBDV2zncwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMDI0MjMzODEzWhcNNDYx
MDE0MjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaCLzedjcaINQzOEDPmKhn1LQDCMK+hQ
qaMESbwtAMMOngH9zLoX6/9gOfzRZ0oj89ImNAZH14M+QWBrPei756NmMGQwHQYD
VR0OBBYEFIVyRYukmY84u3vhb64L84wKEai+MBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFKTdTawkn/QDrPgk+tycHPZx5UhY
MAoGCCqGSM49BAMCA0cAMEQCIBiuqaUIKc5HKAYXViBV/DKLjd0x08uUliE8H3rv
W63WAiBQHDALHAR9BFIWGOn1q6Kiy4XNOcvmpxShIsLxAkybpg==
-----END CERTIFICATE-----
', '{"names":["renewing.example"],"subject":"CN=renewing.example","issuer":"CN=Little CA Intermediate","serial_hex":"1b1e3fa712c6fb9e35b74a9ce30e2fbf302c6e3a","not_before":"2026-10-19T22:38:13+00:00","not_after":"2027-01-17T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"5c239c8ed4af920ab51200c9a2c98d5cc0fc558f522ccb01a88c14ea5845b5b3","fingerprint_sha1":"843dc6c11c85a8f3461e502099495a10cebef009","spki_sha256":"c5e4208d57dfe622676928ae3bc478b39c1a7875dfd6e529253a3a3cefd4d4ba"}', NULL, 1792453093555872, 1792453093563609, '1b1e3fa712c6fb9e35b74a9ce30e2fbf302c6e3a', '5c239c8ed4af920ab51200c9a2c98d5cc0fc558f522ccb01a88c14ea5845b5b3', '843dc6c11c85a8f3461e502099495a10cebef009', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a2248608c8bca9131671f1c5a1e714', '01a15687a8afc44b171a3a249ba37846', 2, 'renew', '01a15687a7f9beef9c75b41601ae53ae', '["renewing.example"]', 'ec-p256', 'certificate-key', '01a2248608c8bca9131671f1c5a1e714', '-----BEGIN CERTIFICATE REQUEST-----
MIIBAzCBqwIBADAbMRkwFwYDVQQDDBByZW5ld2luZy5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEi/Ry+5V5NAGbMYcYwwMIJJETuKLaH6QD1eS+rgMY
iNQsYBoEV5l7NPqKFjHlhb1VAambvmVOIMGdnistcptjcqAuMCwGCSqGSIb3DQEJ
DjEfMB0wGwYDVR0RBBQwEoIQcmVuZXdpbmcuZXhhbXBsZTAKBggqhkjOPQQDAgNH
ADBEAiA/J7V1siXJzzseKvBMeyJ8PbnbNPbkN/F2R5QlDqcW+QIgXzA9dhOei7Ji
Ux7FSnUTMOioL7OnsueuBNmlnEwf5yk=
-----END CERTIFICATE REQUEST-----
', '{"step":1}', '{"act":"work","at":"2026-11-28T23:38:13.583980+00:00"}', NULL, true, NULL, NULL, NULL, NULL, 1795909093576584, NULL, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a15687a828915523ea168b21e37803', '01a15687a82393bac9a0e1d726f51210', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["active.example"]', 'rsa-2048', 'certificate-key', '01a15687a828915523ea168b21e37803', '-----BEGIN CERTIFICATE REQUEST-----
MIICijCCAXICAQAwGTEXMBUGA1UEAwwOYWN0aXZlLmV4YW1wbGUwggEiMA0GCSqG
SIb3DQEBAQUAA4IBDwAwggEKAoIBAQDSyd9p69vxbtumCY38hSB2pT4rDpCX40wA
Hs+b7lX2XsdJIqb1fx1Wraj35nQP4Q2APUNpnAGC2YE1XhcOkGFaS+H63XQo9/ja
RKQgzilTsff5MocKdHTK9onlatamF26fbxaOOlh7MZhoXKc6x/ZsG+87cjdWaNff
QPTRaEm2HTG1GcCi3CqQAdzROvLtSTU2nhajuSsev+N4EqPnlcjSddXvxU7PLE+C
RsOYDkWjJVRKTpeUPyZtFYEjCJ/e3zu9lGcd+YzpQ/6Wxtq6pbBS8TJpbXpBNyJn
92e4lUribxdzVMkEgYXir7CI+xhX5g3co0rzIyi47jR2gSm5eGczAgMBAAGgLDAq
BgkqhkiG9w0BCQ4xHTAbMBkGA1UdEQQSMBCCDmFjdGl2ZS5leGFtcGxlMA0GCSqG
SIb3DQEBCwUAA4IBAQDAVk1tHadCVVYba1CUfKas/SYfdZrlZwGGv83ScNXfBIaZ
KD67nv+p+fm02PWqNFhVd+OLPNKl1wzFebXOMH1UfJ3RqvOTp+bLjYKEIe5gHbIo
JzBvy8vnRok+OxGb5V9fP4cfYzsCDxFRkka8brf36iHtSvCarBiMeCFiDcIAkfnh
prCV0zYpeUwR3uxCuxqDFJ7jMMNd/NEu3lKcroBYsDIZA+5ucJVGs2Fa67en5NDt
QLktdh4I5Eyw0521GfFOGwlqKtxIysw8C60qHJ+Jl7Aa38T/sPaZOM2QxgrDYhW9
VfQHYlRZIRzHsj7AtMJAM3ceKTbX53NmMQTBxhul
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIICiDCCAi6gAwIBAgIUM/XuSjMYh1ERNuhZKsiqnn5bmjIwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjEwMTkyMjM4
MTNaFw0yNzAxMTcyMzM4MTNaMBkxFzAVBgNVBAMMDmFjdGl2ZS5leGFtcGxlMIIB
IjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0snfaevb8W7bpgmN/IUgdqU+
Kw6Ql+NMAB7Pm+5V9l7HSSKm9X8dVq2o9+Z0D+ENgD1DaZwBgtmBNV4XDpBhWkvh
+t10KPf42kSkIM4pU7H3+TKHCnR0yvaJ5WrWphdun28WjjpYezGYaFynOsf2bBvv
O3I3VmjX30D00WhJth0xtRnAotwqkAHc0Try7Uk1Np4Wo7krHr/jeBKj55XI0nXV
78VOzyxPgkbDmA5FoyVUSk6XlD8mbRWBIwif3t87vZRnHfmM6UP+lsbauqWwUvEy
aW16QTciZ/dnuJVK4m8Xc1TJBIGF4q+wiPsYV+YN3KNK8yMouO40doEpuXhnMwID
AQABo4GAMH4wHQYDVR0OBBYEFJB2qad7Blih/ya3SO3cuPzIMIHtMBkGA1UdEQQS
MBCCDmFjdGl2ZS5leGFtcGxlMAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYB
BQUHAwEwHwYDVR0jBBgwFoAUhXJFi6SZjzi7e+FvrgvzjAoRqL4wCgYIKoZIzj0E
AwIDSAAwRQIhAI/RAM9+ywUYbeXyzU8xpcdnsOoc8nZzd5+NSevDVkwtAiAE7VVN
jy7v13Z+SwTRnFaWPrala3ltWtFU9QNl1S0eSw==
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIULgiaQMr7fFE3lJASEInJBDV2zncwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMDI0MjMzODEzWhcNNDYx
MDE0MjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaCLzedjcaINQzOEDPmKhn1LQDCMK+hQ
qaMESbwtAMMOngH9zLoX6/9gOfzRZ0oj89ImNAZH14M+QWBrPei756NmMGQwHQYD
VR0OBBYEFIVyRYukmY84u3vhb64L84wKEai+MBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFKTdTawkn/QDrPgk+tycHPZx5UhY
MAoGCCqGSM49BAMCA0cAMEQCIBiuqaUIKc5HKAYXViBV/DKLjd0x08uUliE8H3rv
W63WAiBQHDALHAR9BFIWGOn1q6Kiy4XNOcvmpxShIsLxAkybpg==
-----END CERTIFICATE-----
', '{"names":["active.example"],"subject":"CN=active.example","issuer":"CN=Little CA Intermediate","serial_hex":"33f5ee4a331887511136e8592ac8aa9e7e5b9a32","not_before":"2026-10-19T22:38:13+00:00","not_after":"2027-01-17T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"RSA","key_size":2048,"fingerprint_sha256":"674c085239f1307d5bcfd449c69ab02d68d36eaeeb1ce93570550b2930227398","fingerprint_sha1":"e4fa4b71c2e70a6dadbb8aa0f1f148538c479d78","spki_sha256":"6a574f05ba4666643851a13283f2edf6305855be367457a85407910a8c5d3357"}', NULL, 1792453093483376, 1792453093493578, '33f5ee4a331887511136e8592ac8aa9e7e5b9a32', '674c085239f1307d5bcfd449c69ab02d68d36eaeeb1ce93570550b2930227398', 'e4fa4b71c2e70a6dadbb8aa0f1f148538c479d78', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a15687a883facf0dedce7c12b92965', '01a15687a87f63d537da6e75d05679bf', 1, 'issue', '01a15687a7fb15f0aef905a5060129ef', '["expired.example"]', 'ec-p256', 'certificate-key', '01a15687a883facf0dedce7c12b92965', '-----BEGIN CERTIFICATE REQUEST-----
MIIBAzCBqQIBADAaMRgwFgYDVQQDDA9leHBpcmVkLmV4YW1wbGUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAASKhBWYK3i3c1JibBXNG72LOrggr59O2wbvONzrN6y5
4atrjs2karfJUSGXSAbvKpACQSIVNaW1HF3lZRxIU6IhoC0wKwYJKoZIhvcNAQkO
MR4wHDAaBgNVHREEEzARgg9leHBpcmVkLmV4YW1wbGUwCgYIKoZIzj0EAwIDSQAw
RgIhAKToDo8urv8IMQiVDRbklCrl5yqwRBYQ2gRnCPIAp0BoAiEAmu14VPMnwlJp
knvwAAHZ3BwTeFAJgXIryj6dl2yI6zs=
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIBvjCCAWWgAwIBAgIUOLdx8BGSKk3twVoHCqeDALO4dJEwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjEwMTkyMjM4
MTNaFw0yNjEwMjYyMzM4MTNaMBoxGDAWBgNVBAMMD2V4cGlyZWQuZXhhbXBsZTBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABIqEFZgreLdzUmJsFc0bvYs6uCCvn07b
Bu843Os3rLnhq2uOzaRqt8lRIZdIBu8qkAJBIhU1pbUcXeVlHEhToiGjgYEwfzAd
BgNVHQ4EFgQUFkX+u5NYo8cDGzULnn8CucJuCBYwGgYDVR0RBBMwEYIPZXhwaXJl
ZC5leGFtcGxlMAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHwYD
VR0jBBgwFoAUhXJFi6SZjzi7e+FvrgvzjAoRqL4wCgYIKoZIzj0EAwIDRwAwRAIg
ReQOhk2cKxZWI++OwmWEbQ7KFkzmObuNPpLR34fjibMCID+XGXtCVsftMZpOwn6n
FZzRXaCDrf738CH5M3flCh2A
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBoTCCAUigAwIBAgIULgiaQMr7fFE3lJASEInJBDV2zncwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMDI0MjMzODEzWhcNNDYx
MDE0MjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYaCLzedjcaINQzOEDPmKhn1LQDCMK+hQ
qaMESbwtAMMOngH9zLoX6/9gOfzRZ0oj89ImNAZH14M+QWBrPei756NmMGQwHQYD
VR0OBBYEFIVyRYukmY84u3vhb64L84wKEai+MBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFKTdTawkn/QDrPgk+tycHPZx5UhY
MAoGCCqGSM49BAMCA0cAMEQCIBiuqaUIKc5HKAYXViBV/DKLjd0x08uUliE8H3rv
W63WAiBQHDALHAR9BFIWGOn1q6Kiy4XNOcvmpxShIsLxAkybpg==
-----END CERTIFICATE-----
', '{"names":["expired.example"],"subject":"CN=expired.example","issuer":"CN=Little CA Intermediate","serial_hex":"38b771f011922a4dedc15a070aa78300b3b87491","not_before":"2026-10-19T22:38:13+00:00","not_after":"2026-10-26T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"49bcf2a288992ead8dc994e693f836112d35e7d1202b6f949615f0da5d94953f","fingerprint_sha1":"9d5d8516c130ecffca03f384febf92c4d8c583a2","spki_sha256":"3bb94d21a41660bd401d3a1017cbf3d0ff1088913b76b9553ef526757888450a"}', NULL, 1792453093508444, 1792453093516621, '38b771f011922a4dedc15a070aa78300b3b87491', '49bcf2a288992ead8dc994e693f836112d35e7d1202b6f949615f0da5d94953f', '9d5d8516c130ecffca03f384febf92c4d8c583a2', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a2248608d557051ac594af22f117e5', '01a2248608d11fee7c0df1d54b9dbc8f', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["error.example"]', 'ec-p256', 'certificate-key', '01a2248608d557051ac594af22f117e5', '-----BEGIN CERTIFICATE REQUEST-----
MIH/MIGlAgEAMBgxFjAUBgNVBAMMDWVycm9yLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATtxBsyKdHVJ+dZjk4+a8RoRGutjcH4WmKU201GXUfQEmwV
dng8cTP/dSZnl/T4jNK/yopto6dXdi/uTRDZgQckoCswKQYJKoZIhvcNAQkOMRww
GjAYBgNVHREEETAPgg1lcnJvci5leGFtcGxlMAoGCCqGSM49BAMCA0kAMEYCIQC6
xL2OkNjyjQxnrKN8MjPlwN7padFLsL+2FkG4d4sR7QIhAOmvQolz0mjgpRbKBHd/
V+C35dDxGPThfVoI8x9wPcKo
-----END CERTIFICATE REQUEST-----
', '{"step":1}', NULL, 'failed', true, NULL, NULL, NULL, '{"type":"urn:scripted:fail_never","title":"The scripted CA refuses.","detail":"fail_never","advice":"Wait."}', 1795909093589817, 1795909093597015, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a2248608e3ab77846bc7752fe57cda', '01a2248608df7e95ada71939c0c8eead', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["pending.example"]', 'ec-p256', 'certificate-key', '01a2248608e3ab77846bc7752fe57cda', '-----BEGIN CERTIFICATE REQUEST-----
MIIBATCBqQIBADAaMRgwFgYDVQQDDA9wZW5kaW5nLmV4YW1wbGUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAARwveke76zAlzhfWU+WbuWTfGkBsFgNj5XmsTVpUGua
Ws/SIvYz9d3Net3han0O2BmUHxOukSM4dQ8CIWGAH4r1oC0wKwYJKoZIhvcNAQkO
MR4wHDAaBgNVHREEEzARgg9wZW5kaW5nLmV4YW1wbGUwCgYIKoZIzj0EAwIDRwAw
RAIhAO7c+GbxQ6rdLbLzN5QkjgrIrHBaKfz5BLJhhy2a5z52Ah9wlATWjlWLAJVi
Z6Ti9U1Cza3WEPB64AnFLyLAn21y
-----END CERTIFICATE REQUEST-----
', '{"step":1}', '{"act":"wait_owner","at":"2026-11-28T23:38:13.610822+00:00"}', NULL, true, NULL, NULL, NULL, NULL, 1795909093603742, NULL, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a2248608f1ffebf748224fb4cdb7a9', '01a2248608ed5a92e578c531607bd99c', 1, 'issue', '01a15687a7f9beef9c75b41601ae53ae', '["processing.example","www.processing.example"]', 'ec-p256', 'certificate-key', '01a2248608f1ffebf748224fb4cdb7a9', '-----BEGIN CERTIFICATE REQUEST-----
MIIBIDCBxwIBADAdMRswGQYDVQQDDBJwcm9jZXNzaW5nLmV4YW1wbGUwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAARwB4EoQHuWO3QoZ4hs6ej2UwfqaSaLoQxsQ/7X
Ld4caMJZ/uDQ0HLkuZnerQMtFVX8+myd7yG4CBcaOjURKHEJoEgwRgYJKoZIhvcN
AQkOMTkwNzA1BgNVHREELjAsghJwcm9jZXNzaW5nLmV4YW1wbGWCFnd3dy5wcm9j
ZXNzaW5nLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIhAOsJR7PVtricBB7l8CV1
6KLyDZWj5WUC2axaATqi9ILoAiAjyk5rGJr8+B1kOr5keL/qxIpo7y7EFWgXk+Zo
veozPw==
-----END CERTIFICATE REQUEST-----
', '{"step":1}', '{"act":"work","at":"2026-11-28T23:38:13.624760+00:00"}', NULL, true, NULL, NULL, NULL, NULL, 1795909093617596, NULL, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a22486091269aa83328070644ba600', '01a2248609124e927216ba51ea51c433', 1, 'import', NULL, '["imported.example"]', 'ec-p256', 'certificate-key', '01a22486091269aa83328070644ba600', '', NULL, NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIBwzCCAWigAwIBAgIUBDqVHODEYtl05ChvhzFkzJA5/3AwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjExMjgyMjM4
MTNaFw0yNzAyMjYyMzM4MTNaMBsxGTAXBgNVBAMMEGltcG9ydGVkLmV4YW1wbGUw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARYSRlrJK3VMSdhE1ftXLyJ5Ln1Y2wy
0/0WHkvp8gdnCE0JSzhVFrhgV3z3YNiPdYyUOXSLhOKhZ2lP20b+qUK3o4GDMIGA
MB0GA1UdDgQWBBTZT9foWnz8qCjgLrUEqvGmr99FqzAbBgNVHREEFDASghBpbXBv
cnRlZC5leGFtcGxlMAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEw
HwYDVR0jBBgwFoAUCWFAFB5EUWQJrU3/w/sNneRwKuQwCgYIKoZIzj0EAwIDSQAw
RgIhAOCTZ9+DWn2zio6nkI5UcWTWU3pkJjKyBIauQglHFDo3AiEA6xE1KcM11DMW
Ia20iX3or5nltrnON2X7BvS6RtCVVzE=
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBozCCAUigAwIBAgIUHSlma9Msd2xEzwpVzGXn053K7jMwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMjAzMjMzODEzWhcNNDYx
MTIzMjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAES1GmV530ockUEdipkclX2uvLR1tHv3bE
OBJxTFMAGXehGBZ/sfpyQ5ax7ZsLzPEAbZAmYE3UeJC03bk7WGNKz6NmMGQwHQYD
VR0OBBYEFAlhQBQeRFFkCa1N/8P7DZ3kcCrkMBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFPxeT5/xSq+CmYglH4iqegzbV280
MAoGCCqGSM49BAMCA0kAMEYCIQCGYXpjHtZAhxdKCSjbnhf6rXH29RAb31aw/m/K
bAekZAIhAKwhWq/uD8CMZfnV1o8NSGrVu6nhC7QG5hILVrj3EKIK
-----END CERTIFICATE-----
', '{"names":["imported.example"],"subject":"CN=imported.example","issuer":"CN=Little CA Intermediate","serial_hex":"43a951ce0c462d974e4286f873164cc9039ff70","not_before":"2026-11-28T22:38:13+00:00","not_after":"2027-02-26T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"3152657ff86fbf34b85faa8937ec381af51c4e8ff806aff319232561e5327d36","fingerprint_sha1":"623adf65169240664273b80841326de8ead6098d","spki_sha256":"e626ee8f022f62a3fc5a9c9c87ab450666d15e87e517b3988cc4091fb5db8501"}', NULL, 1795909093650676, 1795909093650676, '43a951ce0c462d974e4286f873164cc9039ff70', '3152657ff86fbf34b85faa8937ec381af51c4e8ff806aff319232561e5327d36', '623adf65169240664273b80841326de8ead6098d', NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a22486091a30138365e9543bb1cc89', '01a22486091a9e52de1996c35c01dfa9', 1, 'import', NULL, '["imported-without-key.example"]', 'ec-p256', 'certificate-key', '01a22486091a30138365e9543bb1cc89', '', NULL, NULL, 'issued', false, '-----BEGIN CERTIFICATE-----
MIIB2TCCAYCgAwIBAgIUAkGLfm+XhHRtiIZs2HOIZBtE1tgwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWTGl0dGxlIENBIEludGVybWVkaWF0ZTAeFw0yNjExMjgyMjM4
MTNaFw0yNzAxMjcyMzM4MTNaMCcxJTAjBgNVBAMMHGltcG9ydGVkLXdpdGhvdXQt
a2V5LmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATE2eHZBkQy8pO+
VD86TxmNYbMi3U2SXRHbwncEmY3DYBLfSHMhFoF7nCPSLbnbwIcMrAEHX2Ys4cEZ
he/CRPzLo4GPMIGMMB0GA1UdDgQWBBQyTpqbQWbcUTd3duAL8TEJFf6gOzAnBgNV
HREEIDAeghxpbXBvcnRlZC13aXRob3V0LWtleS5leGFtcGxlMAwGA1UdEwEB/wQC
MAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHwYDVR0jBBgwFoAUCWFAFB5EUWQJrU3/
w/sNneRwKuQwCgYIKoZIzj0EAwIDRwAwRAIgRCqJQZOBvs0sdl1q1DwOeIfnCvX0
zB/eGPmSOYpG0QgCICcVKpf4QrzGoq8xr1CCANNSGUj8+4AGgGSpkpmGY7nX
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIBozCCAUigAwIBAgIUHSlma9Msd2xEzwpVzGXn053K7jMwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGl0dGxlIENBIFJvb3QwHhcNMDYxMjAzMjMzODEzWhcNNDYx
MTIzMjMzODEzWjAhMR8wHQYDVQQDDBZMaXR0bGUgQ0EgSW50ZXJtZWRpYXRlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAES1GmV530ockUEdipkclX2uvLR1tHv3bE
OBJxTFMAGXehGBZ/sfpyQ5ax7ZsLzPEAbZAmYE3UeJC03bk7WGNKz6NmMGQwHQYD
VR0OBBYEFAlhQBQeRFFkCa1N/8P7DZ3kcCrkMBIGA1UdEwEB/wQIMAYBAf8CAQAw
DgYDVR0PAQH/BAQDAgEGMB8GA1UdIwQYMBaAFPxeT5/xSq+CmYglH4iqegzbV280
MAoGCCqGSM49BAMCA0kAMEYCIQCGYXpjHtZAhxdKCSjbnhf6rXH29RAb31aw/m/K
bAekZAIhAKwhWq/uD8CMZfnV1o8NSGrVu6nhC7QG5hILVrj3EKIK
-----END CERTIFICATE-----
', '{"names":["imported-without-key.example"],"subject":"CN=imported-without-key.example","issuer":"CN=Little CA Intermediate","serial_hex":"2418b7e6f9784746d88866cd87388641b44d6d8","not_before":"2026-11-28T22:38:13+00:00","not_after":"2027-01-27T23:38:13+00:00","signature_algorithm":"ecdsa-with-SHA256","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"57345be9e65248970159e3dd7a73cc4a65fbfce6f0a632eb27d43549d84574ed","fingerprint_sha1":"af72c37bdfb6ef63acda4372c7db7d4a08f82382","spki_sha256":"48ca6329a8f77774a08ad5fc768bd4287b5a8e3c0294f10c927784b4338f8a71"}', NULL, 1795909093658903, 1795909093658903, '2418b7e6f9784746d88866cd87388641b44d6d8', '57345be9e65248970159e3dd7a73cc4a65fbfce6f0a632eb27d43549d84574ed', 'af72c37bdfb6ef63acda4372c7db7d4a08f82382', NULL, 0, true, '');
INSERT INTO public.certcore_issuances VALUES ('01a22486093f7d0b29bdbb0f522277f6', '01a22486093a04ee067bc46f5e2fb44b', 1, 'issue', '01a224860921751c03a0f222b325e152', '["c.shop.test"]', 'ec-p256', 'certificate-key', '01a22486093f7d0b29bdbb0f522277f6', '-----BEGIN CERTIFICATE REQUEST-----
MIH5MIGhAgEAMBYxFDASBgNVBAMMC2Muc2hvcC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEMzPNULfkycw2gECiTE5PrrYMxFNyMPTmU8Q8ZOhJ/Q/Xm+IP
DvFLm7wBWx7M5jryosYiJ7yCGlE/yw8t++owe6ApMCcGCSqGSIb3DQEJDjEaMBgw
FgYDVR0RBA8wDYILYy5zaG9wLnRlc3QwCgYIKoZIzj0EAwIDRwAwRAIgXGJp7E+0
w5HNKj3jhi6TCQiiKsdfiIZLfgovtTZAHKoCIGUMTN23kQEu27GNF9viuqE/ondd
TqlqC4IdVteoSW+P
-----END CERTIFICATE REQUEST-----
', '{"stage":"preflight","looks":1}', '{"checked_at":"2026-11-28T23:38:14.065130+00:00","records":[{"base":"c.shop.test","name":"_acme-challenge.c.shop.test","target":"jtsqheiagozjkvvaedwyv37tb6.acme.panel.test","state":"missing","seen":"","type":"CNAME","until":""}]}', NULL, false, NULL, NULL, NULL, NULL, 1795909093695966, NULL, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a2248609341a562db24df98df37d46', '01a22486092eb434c9649122ead763a6', 1, 'issue', '01a224860921751c03a0f222b325e152', '["b.shop.test"]', 'ec-p256', 'certificate-key', '01a2248609341a562db24df98df37d46', '-----BEGIN CERTIFICATE REQUEST-----
MIH6MIGhAgEAMBYxFDASBgNVBAMMC2Iuc2hvcC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE8SUzO2quOhDWnzQUTh4hwoess9u2DLoQo9jY8YknjBlAY39A
HeJXBR/hkTNj7mCk5FdV5BHJEgdKtK+CYqPtmaApMCcGCSqGSIb3DQEJDjEaMBgw
FgYDVR0RBA8wDYILYi5zaG9wLnRlc3QwCgYIKoZIzj0EAwIDSAAwRQIhAN4FKcYM
VDwXaFcPpP28avKTzt2X70GVfae6AK39dxViAiAzfEGjYZJ7jMw0+R+AU+VVpn0K
JVJgJ/TO+7v16R3LEw==
-----END CERTIFICATE REQUEST-----
', '{"stage":"published","since":"2026-11-28T23:38:14.057380+00:00","targets":{"b.shop.test":"2mfowetsiktcz3myhi36gd7deb.acme.panel.test"},"challenge":"dns-01","account":"account/01a224860921751c03a0f222b325e152/ada11027083641c5","account_url":"https://127.0.0.1:30402/my-account/77478dab6e0c0810","directory":"https://127.0.0.1:30402/dir","foreign":0,"order":"https://127.0.0.1:30402/my-order/lgrDtndZM7mJZeIosp2w-h_cPfhDE85GXIj2C_5JN_U","authorizations":["https://127.0.0.1:30402/authZ/8aYweBf0sm355fbuBo5LTyZ_hzTai6n686M4rTLbHSY"],"certificate":"","polls":1,"challenges":[{"base":"b.shop.test","url":"https://127.0.0.1:30402/chalZ/q76RBOSAMVGJqFcQaPfEtB5Ts1jvItXgCTbpwpWHgYM","value":"XrUsS-lMsRLBiUCLsO_Q-cOcGacccyFHkNW0he4B6UA"}],"fetched":20,"outside":false}', '{"checked_at":"2026-11-28T23:38:14.043531+00:00","records":[{"base":"b.shop.test","name":"_acme-challenge.b.shop.test","target":"2mfowetsiktcz3myhi36gd7deb.acme.panel.test","state":"correct","seen":"2mfowetsiktcz3myhi36gd7deb.acme.panel.test","type":"CNAME","until":""}],"unseen":{"name":"_acme-challenge.b.shop.test","zone":"acme.panel.test","missing":"127.0.0.1:54028 shows 0 of 1 values"}}', NULL, true, NULL, NULL, NULL, NULL, 1795909093684834, NULL, NULL, NULL, NULL, NULL, 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a224860928824866b0950ac3e343be', '01a224860922d9a9cb598ed55149e9f5', 1, 'issue', '01a224860921751c03a0f222b325e152', '["a.shop.test"]', 'ec-p256', 'certificate-key', '01a224860928824866b0950ac3e343be', '-----BEGIN CERTIFICATE REQUEST-----
MIH6MIGhAgEAMBYxFDASBgNVBAMMC2Euc2hvcC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEraG5lYN65OTf/4fYlmKAnaX4ZUHX7kBrkoZkifvQQ7bkmC1Z
FptzRi/Xd/yNbVhIMj/m4dLDYrSDnS2qsFBuL6ApMCcGCSqGSIb3DQEJDjEaMBgw
FgYDVR0RBA8wDYILYS5zaG9wLnRlc3QwCgYIKoZIzj0EAwIDSAAwRQIhAKTW+6i8
hkcBPTzKqo32Tn6aXNwW+EtyG4oxy+lac8+/AiADjiviZ5d5peqGyETvxortITa5
yMpshYhuFHnii/Gy/Q==
-----END CERTIFICATE REQUEST-----
', '{"stage":"finalizing","since":"2026-11-28T23:38:13.904258+00:00","targets":{"a.shop.test":"vzbcvnitllknkizn2l35fhkarb.acme.panel.test"},"challenge":"dns-01","account":"account/01a224860921751c03a0f222b325e152/ada11027083641c5","account_url":"https://127.0.0.1:30402/my-account/77478dab6e0c0810","directory":"https://127.0.0.1:30402/dir","foreign":0,"order":"https://127.0.0.1:30402/my-order/wrSmHcx8Yb-_r91y-_bpbYzMUue7LBFxmBYakv_BdIY","authorizations":["https://127.0.0.1:30402/authZ/-2DE62NYzyi3gQNVfrCtCUF4E2c4xal6Gz3aRYxppKk"],"certificate":"https://127.0.0.1:30402/certZ/4cb0c4c822da08e0","polls":0,"challenges":[{"base":"a.shop.test","url":"https://127.0.0.1:30402/chalZ/L1wATNoaSp6VX2di63Y4uIGn0OR3xDmXDCQskeu6uLc","value":"AbRjrFvjFnKYuXUTe3_g6emJviMfvXu5kMNb7oHtD1A"}],"fetched":20,"answered":20,"finalized":true,"chain":{"root":"Pebble Root CA 7bb4cf","known":null,"note":""}}', '{"checked_at":"2026-11-28T23:38:13.718312+00:00","records":[{"base":"a.shop.test","name":"_acme-challenge.a.shop.test","target":"vzbcvnitllknkizn2l35fhkarb.acme.panel.test","state":"correct","seen":"vzbcvnitllknkizn2l35fhkarb.acme.panel.test","type":"CNAME","until":""}]}', 'issued', false, '-----BEGIN CERTIFICATE-----
MIICjjCCAXagAwIBAgIITLDEyCLaCOAwDQYJKoZIhvcNAQELBQAwKDEmMCQGA1UE
AxMdUGViYmxlIEludGVybWVkaWF0ZSBDQSA2ZDY4Y2EwHhcNMjYxMTI4MjMzODEz
WhcNMzExMTI4MjMzODEyWjAWMRQwEgYDVQQDEwthLnNob3AudGVzdDBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABK2huZWDeuTk3/+H2JZigJ2l+GVB1+5Aa5KGZIn7
0EO25JgtWRabc0Yv13f8jW1YSDI/5uHSw2K0g50tqrBQbi+jgZgwgZUwDgYDVR0P
AQH/BAQDAgWgMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcDAjAMBgNVHRMB
Af8EAjAAMB0GA1UdDgQWBBTu7ZKEEZEMijnv2VbYt0xt3IpqzDAfBgNVHSMEGDAW
gBQIqC8FEqLLwnBc8ZTqsV48t9mWFDAWBgNVHREEDzANggthLnNob3AudGVzdDAN
BgkqhkiG9w0BAQsFAAOCAQEAUvDTsjnj0xE2L+ash/UgBhBUVOG4VWa+wOygMfpL
8wQALRAtPzoKZA9u0wX2wdg9X0Hb2Zyk6+n5QuZObaQ2cPNJhVn2itJKYYgxcaXJ
DPQyg9/tHGwTt8u6j2PU9GoE6Pw1ss5YAke/TteUQxvJSEO3BmfsDj1623q/dym8
kWTHdBdgJq2Cp4NL/FzLhaujcPtLo3EEHra6pNz7QdXOBVI3TezCIh/PhwsUnsZA
sZ72x9bP75sngPLm1RXDcAwvbamLn0VmLOLguQZxOC4xqeaO6ISLyLpBFhrTXz7j
FsEOHI9IHg1A219AJ/AK3h/aYtn0TwUOCGiq+cAuzaRUBw==
-----END CERTIFICATE-----
', '-----BEGIN CERTIFICATE-----
MIIDUDCCAjigAwIBAgIIYQMjN6ZKBkkwDQYJKoZIhvcNAQELBQAwIDEeMBwGA1UE
AxMVUGViYmxlIFJvb3QgQ0EgN2JiNGNmMCAXDTI2MTEyODIzMzgxM1oYDzIwNTYx
MTI4MjMzODEzWjAoMSYwJAYDVQQDEx1QZWJibGUgSW50ZXJtZWRpYXRlIENBIDZk
NjhjYTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAMZN5sGbCl2FQKrG
aAeWQsAwW1xS+h+M67fsr3MHZRv0CtS5BwRd9DNez9Kvm8ykq49+57nh2D+aSdpG
5v9nX2y7yCvI+/wtTpBR8IXTHV3bq2IPnWMtTGYlUfyBlMPOPZjH/7YVo/81DjKr
jsia0n21/d3zYppreHVNwhlf0xvQFscs2ZDK413gYobl4eUuZO14HCkEJKKUjKe/
kIZxAFdJODrRNlP9Fe98aXOBWk6YbMmHPPtVK5C1dHjQfIkbyhHtFPsEJv2Q2lkH
1omJeiSyk7SZE1ENiiMVsPTTntRV6aXN4wQY9Gt7sp+1PAl94X7mggzSJO3xjn+c
27qhUX8CAwEAAaOBgzCBgDAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYB
BQUHAwEGCCsGAQUFBwMCMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFAioLwUS
osvCcFzxlOqxXjy32ZYUMB8GA1UdIwQYMBaAFKZGGfiZzi4HMOJZ3Pzt5J4qj44n
MA0GCSqGSIb3DQEBCwUAA4IBAQBFa9MHYdS6a4rD8+il1NsPkZuH4RP1GpvXJ+ef
pPoab25BxpswgRsneaZtEpA9J29FgjYDmVJb+RODdRIQmIC7QbJAVF729NLddimy
r0GEbgaLIo/vZ3n9jp0V+UGUBZZAWfvXvQAgr2O4zxtHK81IzOYiiS5nxJjuCzM0
Ixtckez8f/Zr9B8pqjz6XeAuKmH3JqGyKU6phCb1bf8lxZi0JDWRyJ/EDVG3HeQZ
GkLarTXhN8bKLY0UEo8SE2yj6tJMOWjDQ0sJ5fiY5AYYwPx7fqhhgCqthFdyUT5O
VHHbg9O3sf0hGMrTIDYgDbpVgFGQffFHG1+z2/o9N7ocyt5A
-----END CERTIFICATE-----
', '{"names":["a.shop.test"],"subject":"CN=a.shop.test","issuer":"CN=Pebble Intermediate CA 6d68ca","serial_hex":"4cb0c4c822da08e0","not_before":"2026-11-28T23:38:13+00:00","not_after":"2031-11-28T23:38:12+00:00","signature_algorithm":"sha256WithRSAEncryption","public_key_algorithm":"EC P-256","key_size":256,"fingerprint_sha256":"effd35597e71b79bab6958693b6f68dc89a213ceafa5f55a24720f05f7ced796","fingerprint_sha1":"19649d27ca3af3e1f875dc6fe7a3fa7ec5145ed0","spki_sha256":"d9292010d41bc1ef81113e2238e3644cc06354837e336d269c132aca9b12ced7"}', NULL, 1795909093673077, 1795909093971369, '4cb0c4c822da08e0', 'effd35597e71b79bab6958693b6f68dc89a213ceafa5f55a24720f05f7ced796', '19649d27ca3af3e1f875dc6fe7a3fa7ec5145ed0', '{"check_at":"2026-11-29T00:38:13.971369+00:00","start":null,"end":null,"renew_at":null,"explanation_url":"","checked_at":null,"failures":0}', 0, false, '');
INSERT INTO public.certcore_issuances VALUES ('01a224860ab8ac2346a802caf953e90a', '01a15687a806088dfca2e96c71a37237', 2, 'renew', '01a15687a7f9beef9c75b41601ae53ae', '["active.example","*.active.example"]', 'ec-p256', 'certificate-key', '01a224860ab8ac2346a802caf953e90a', '-----BEGIN CERTIFICATE REQUEST-----
MIIBEjCBuQIBADAZMRcwFQYDVQQDDA5hY3RpdmUuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABHlpxSPUx6/+EPPHUmkw7cRcB5f6hAYB3LoCZQT9IHu8
YkUyNyS0muf0JGySUIeHVpzf7vy0hanVrAY2PYeWOp2gPjA8BgkqhkiG9w0BCQ4x
LzAtMCsGA1UdEQQkMCKCDmFjdGl2ZS5leGFtcGxlghAqLmFjdGl2ZS5leGFtcGxl
MAoGCCqGSM49BAMCA0gAMEUCIDpefVb83u4eLKXUbYcNG3rajiGqSIQ4v8SXpel8
rI11AiEA+4Xp5QmAL9g8/OcY2nrCpnLTbFZhsB0AJOSalBYlVS4=
-----END CERTIFICATE REQUEST-----
', NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, 1795909094072603, NULL, NULL, NULL, NULL, NULL, 0, false, '');



INSERT INTO public.certcore_names VALUES ('01a15687a7fc6317f90ed6292596d3cc', 'draft.example', 'example.draft.', '');
INSERT INTO public.certcore_names VALUES ('01a15687a806088dfca2e96c71a37237', 'active.example', 'example.active.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a15687a806088dfca2e96c71a37237', '*.active.example', 'example.active.*.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a15687a82393bac9a0e1d726f51210', 'active.example', 'example.active.', 'Anna');
INSERT INTO public.certcore_names VALUES ('01a15687a87f63d537da6e75d05679bf', 'expired.example', 'example.expired.', '');
INSERT INTO public.certcore_names VALUES ('01a15687a895fab295d4d4e9238b39aa', 'revoked.example', 'example.revoked.', '');
INSERT INTO public.certcore_names VALUES ('01a15687a8afc44b171a3a249ba37846', 'renewing.example', 'example.renewing.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a2248608d11fee7c0df1d54b9dbc8f', 'error.example', 'example.error.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a2248608df7e95ada71939c0c8eead', 'pending.example', 'example.pending.', '');
INSERT INTO public.certcore_names VALUES ('01a2248608ed5a92e578c531607bd99c', 'processing.example', 'example.processing.', '');
INSERT INTO public.certcore_names VALUES ('01a2248608ed5a92e578c531607bd99c', 'www.processing.example', 'example.processing.www.', '');
INSERT INTO public.certcore_names VALUES ('01a2248609124e927216ba51ea51c433', 'imported.example', 'example.imported.', 'bruno');
INSERT INTO public.certcore_names VALUES ('01a22486091a9e52de1996c35c01dfa9', 'imported-without-key.example', 'example.imported-without-key.', 'bruno');
INSERT INTO public.certcore_names VALUES ('01a224860922d9a9cb598ed55149e9f5', 'a.shop.test', 'test.shop.a.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a22486092eb434c9649122ead763a6', 'b.shop.test', 'test.shop.b.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a22486093a04ee067bc46f5e2fb44b', 'c.shop.test', 'test.shop.c.', 'anna');
INSERT INTO public.certcore_names VALUES ('01a15687a7fc6317f90ed6292596d3cc', 'mail.draft.example', 'example.draft.mail.', '');
INSERT INTO public.certcore_names VALUES ('01a15687a7fc6317f90ed6292596d3cc', '*.draft.example', 'example.draft.*.', '');



INSERT INTO public.certcore_schedules VALUES ('01a15687a7fc6317f90ed6292596d3cc', NULL, 0, '', NULL, 0, NULL);
INSERT INTO public.certcore_schedules VALUES ('01a15687a82393bac9a0e1d726f51210', 1797662357437023, 0, '', NULL, 3, 1800229093000000);
INSERT INTO public.certcore_schedules VALUES ('01a15687a8afc44b171a3a249ba37846', 1795909153583980, 0, '', NULL, 5, 1800229093000000);
INSERT INTO public.certcore_schedules VALUES ('01a2248608ed5a92e578c531607bd99c', 1795909153624760, 0, '', NULL, 2, NULL);
INSERT INTO public.certcore_schedules VALUES ('01a224860922d9a9cb598ed55149e9f5', 1795912693971369, 0, '', NULL, 9, 1953675492000000);
INSERT INTO public.certcore_schedules VALUES ('01a22486092eb434c9649122ead763a6', 1795909094257380, 0, '', NULL, 5, NULL);
INSERT INTO public.certcore_schedules VALUES ('01a22486093a04ee067bc46f5e2fb44b', 1795909104065130, 0, '', NULL, 4, NULL);
INSERT INTO public.certcore_schedules VALUES ('01a15687a87f63d537da6e75d05679bf', 1795909093573226, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 7, 1793057893000000);
INSERT INTO public.certcore_schedules VALUES ('01a2248608d11fee7c0df1d54b9dbc8f', 1795909093597015, 1, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 5, NULL);
INSERT INTO public.certcore_schedules VALUES ('01a15687a895fab295d4d4e9238b39aa', 1792453093548691, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 7, 1800229093000000);
INSERT INTO public.certcore_schedules VALUES ('01a22486091a9e52de1996c35c01dfa9', 1795909093658903, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 3, 1801093093000000);
INSERT INTO public.certcore_schedules VALUES ('01a2248609124e927216ba51ea51c433', 1795909093650676, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 3, 1803685093000000);
INSERT INTO public.certcore_schedules VALUES ('01a15687a806088dfca2e96c71a37237', 1795909094073178, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 6, 1800229093000000);
INSERT INTO public.certcore_schedules VALUES ('01a2248608df7e95ada71939c0c8eead', 1795909094100748, 0, '14346-01a15687a7f98deaa66308f331eea056', 1795909154102628, 4, NULL);



INSERT INTO public.certcore_secrets VALUES ('keyring-check', '1', 'k-00a78f41', '\x8191c47b2f0e876d60665a13b3d868999d834c9321d563c88330149961b2a196df394df8f8ea3aefcea2754fb6d9ff325f354a03054d56156d589cfd', '\x4774564b28d8ec621cb4ae00', '\xe9de0ddf4abbe935f46fe76ffba20bc391d9d2c1ce4a28b6');
INSERT INTO public.certcore_secrets VALUES ('authority-setting', '01a15687a7f9beef9c75b41601ae53ae/api_key', 'k-00a78f41', '\x9766ab6751e9934bf4d9a568040460deae635141699e6093bbe33eb668a94095d84ebcebd43c5653bb3e6ca6321b85e89064c990a34ac9df14084ccb', '\x5dbe9c9d1e7a072a8407abdb', '\x8d28411f13ddb9ade518597b5e254a34b5d166e40e0b7b574f9e1806c1b51ec8903f37c08a9ec272a7dee6');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a15687a80c2ba2129a52860c7ce65a', 'k-00a78f41', '\x2291db6699e22352b5e12b7d01e590951913b31346f5a2a026dde61a27551eb7daa1c4226d4bc31c7446d7a3a311ece9e2436c3e571d53a0b59b80e0', '\xe6537db1bf5006c59fdccee3', '\x7b3cf67163d884b81e7eb51f00482f9f71eb08c53f25b3f8db07ccaaeb4b6989a7974e81cbf22f862dda34a0ae43fdfeb468d21ebf647a1946c1911557113116331a85cdb742c31fa5eaa389ff134fa42a077e5a03e26729c2dc1e6894072795661c96cd381705030e483bf3cc12fde754771c58db8273581ac30ea358b7f485dbd17196ceb18b10d108584c083d9247f41abc3f4cad0364f7257631e52c16d1b98faf22aa2d8e14c83ca44b78eba34d97257778286ce87385f9fb1f446bcfa190ae823aba47305c866836b3b8385889aa1f0a0f164d256887d6bea693b20458d4bbd43790ca9c2bd78785f1e75595aabe937d1936a66398ee179cf927791a201f');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a15687a828915523ea168b21e37803', 'k-00a78f41', '\xe002d03a339055f9d7f0e89aa244ba9393037ce4657e8a5aeda512e8685dd48e9585652a44a9a8695d40843cca9e02a278f60ef3087e179a457b6662', '\x7543f2f020b7b8260d115183', '\xae507613df72f3451fd3e8d0475813ecbbaa7cdea52aadbe418bf5b4c9c7757727e3795608477dcdf11aefa4de582f05428a339af2d2f5f3ce3067ec4625106536b529535c3549adcbd83735ee1055c3b4b938b8787bb4761f1f9ee301747c0902dec82a681ce4a690d492cbdc7fa7a1988726898c695ff6a5309ab9a73aaf381ddd91c3d894026ec08abbd8a2bb3c9e667146790c2305a81f4b12ab1350f58ca2a5ff8f351a1a9426a93bfb6d49c78c5fecde0f924b224984188a839bbd2f9f6e56ecc79de2606c652f8db3924e9d629697623dd7afde913a643d5009a460f750c8aac762868ca8e7d6fc3a0c6ba38055bd0052c4d6c6ed5e248149dcc8681505b94589c23cb39e59e81d072db2e96e5001f0e129fa80e41aed058a01c216eda14f01398aad918b646e854bea387dbc312efe51dcd8189d95e894ccbb484a4fb06085c7dd6d5d4de7d93774c54af9fbd95585a3c2ca6a4c3a059334b9f4f29087a7da96db789883ca355ce103c01be4294968f501c674b2d1b6d9cf055d5f45c20b7e0c2a405c9f623d9d65d92af01918d1b91b613666b42a8295b1ad118a6f750ff730a1c737272805eee49aad2eb226c5256681fec68cdcb3b4a498eb06d8671924a343fe725ede012e80793dddc6d58052a8e0ec7ca84905fa9154a133f78fd82b56a41e59a3909fe593dc18458af26d6b598d106eda004d7cc560aa504e632ae262bbe5cb863850083b0405e820c217742f7affe0d533120d2b9e0c8001b8399bdbfeaa0b20b887040753a231e3bb54a1d28e864a2ece07789293dcfee4451b6098467b2cf316d83aa3954759f6a9d15e21db5b0e2a7f95506848b78c190634a2a195ba17ef023c8c88a737aa9464bc7ac5b2876f21ec074be3804e65f19540a7671ddf4a1fde945606bd5ceaba1772bdf58fceb9d4fa3709c8eca40c63b8cca5e005455bfa88196576c4e217f6f313e096e6b77c1a80aa300ee86b6d9f858cf20993da2ca54df1f4716b112d3f5162d8207354006c80d7cdb2e267fd439940b2b3dbc7ad973173f0032ed8f918ac1fc49f3312357de454bdb3174b0ec4af4ab9bac0dc96255ec097fb66448e283af3057f348ac55d65936f46a61bf75e1443ab6e72e466e8473f85d3996638a776ad640ad6df71f2116c11efca921af9e1ffb0d0467f97e1b162bd8d39e1eea91cf706342e44cafa5e15f75e409600e68904c5b60a3509251332bff28f86ae05b80147830ba1dd7afca239a5c9e7fd6b0ab320d4a248b7f4ea0bab8b4d3dc11b094aa2a077624744bc2ab85688906a1955d31105dab6f389de318f26190fd346f90c5eba7bfd4102ccd66a317aa29f2f81549f2ca97956b5fb94b4eac00b224c76b60cd557281b5a620343aa17266d08ea9fe06c5ec07b1680fb25048119eda28a26a8720b5c09dfcaf51f8cc12cb996ba03602816a0cf3a481f982ca474b14a30bfa740c745b079239dbb6a9c539b342881bd4144f9c18cfad0c20a98cab4249232e04e9662c02d0c9614a0b0861be4fed5acee7757711071f677b133bd7bdacbc10f11b212adb1e5cfa4a90797a72deafaecaf07d1d3a3fef6fde2738f17d82a8b819ddeed6a023b01c059a60e47abe9ef2e96ecea48f90b7605b446025963b5f3eb39541d2c1feef7f04c2181c89715de762cc23868bf1df45c6ce1f52fb81eeedae550fcbaf16f68ed788f0ff0f41a4f70c8e9f80a3da5a912ecb4cb1f2f99b300d7b4d847adcf5b0de0735b51ee40917bf626768f319e8cd6c30cf4324df409f11f9762882889bc1fa2e7db3ccf0013aeb604820f69968d560f4a2ed316d5f9109db08fbca258127c357ebe635f7940172e99c99195740ad3b7c862b47890e82ae54a39c4cc662602222ef9ce9ae51330c350bc36053f17382f6f37ef08b9f68374ce72ce235c6af88aa1603f7ee456cbef89f95b8105e552e48646bc1de961314e1999decc78d4234ebd58f824d96347b4d8b9cc4b11cca95e9f4990739ff929b3f02acf01a6e2fb0c71c206d36644fec79c9e790668e7d9cdc7bfba2abde4e4a75b5644b30239597a36aecf85c34e97e2542032eb184c94128ec7960de50eebaae147470d70b5f936c79bbc4e5a055588f4858cfd22e6ce65f7eccd1af169f40af2854ad6d724b7bc9913d905a70073eea59d243e6228c993de03af1d3dd68829479ffe3f989d6ad01cc45fc5f2613985fd34242c63aafec0fb112e6fe229579ee21f50dadddd35db5df8755710b0d634edcacb3e0ed1a91546c3ff23995a78925584ee4c98b14b7adb0dab05656489ba20e692523dcb362a61d87a049c096ac70fdcf9397d0d8895dedfefd9e21f0549a9a4b7ad7bd95b3b6101019eff144f0a4b2878d0a3e0076fb8bcfbc57f330da89b767f2158bae79e8ae449d1f4985731');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a15687a883facf0dedce7c12b92965', 'k-00a78f41', '\xbb9bacddcc64dca3f86f6383080982080d7a448ff93fc2e2bee390550c07b4a22ddd800b0ae2df423b58e2c791e648b6c57cf647c869afb2b3939709', '\xdc0e8a4e46d3470a5b0ad240', '\x98d045ad64fb98e02ee3e0213586ba17b5e2dca8058abe64bd39da513deedafbe7c6e1d0f798e4858a44f806ac64ac88cfb4b172f16ee52113effa2ae9839fc26600645b8380c4d00808635454f963dc1c46d40183b8f455a418c73ac08b315c8d5269d7ae79a7e059e774b542c124fd99333444da41a46ba84dc05630fa1e26f0db88b3c503b8a436ec5b35a422b79f280a5b63d3c3cadb7e99e048d7bff7b9f9a45495439a4da7365b4faf5f443742582f85386b27eff1c92153f9db1d0d2a96bf2418a0572e6d016c00bf4f16331411d42af0abddf4c88e7219b400b6c9269e3e23f546ce57ccd568310b5da30019a04dc36478921778ee4091a04131a742bf');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a15687a89a1d27a8a62417ac035f05', 'k-00a78f41', '\x906dc1161989b5c8688188e9146506ff5f14133138e9119a9a923827e348d8431e61520ca06d4f042473d4ba4552c771965c0118c7ce6ba70e84b4ab', '\xf656f76f1bcf172361f9fda0', '\x5466b84f98624be25595da44573657fddc4d2644886c3891b27679c39bd6830a25915622e2378b98df2872ca562b28bc72f9537fa4652f7c1a29dffbf8156fbd02bceeade69a561c81fbb2e278a59a458a29dcb8b0dbaa9628fb020aeda8386d344ad910d8d3809554288f958b96c662dc9bd835fe5cf89a6ef6c5d55ab2037ddaef641a3e905397214cdc64f6219e4f5b2db9023d209f341675fae1db063dce58ff76910ea222a6674e052dc6a2968ef7fa9262c6a15cc1cbfe74affffd64167a2ce5d20ad58187b5b53db5c4bb0885bfedc92a277b3162dd8ca6772ec07073c906d4c62a5d281723508496b867ba6f6f767355c6262ccfff4bf831c44210ece1');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a15687a8b36bedad64e26bda68a7ae', 'k-00a78f41', '\x4a2eebe69e9e5370bbda241b3c76c453063072a822b6a6ff15dfde3d96194e86df0ef95e6425bf7374df6896f64344f73a7943055e815530fa3a171a', '\x0b62bd8a6c6b537b6d44a4f8', '\x0004b97a78c72ca4b14f1120e733776ec3a7bf13b72c15fffe61561cf0b102b5457a4c45638f188ea1e77745bf25ab0d407fbb4214a8bf2f8ee77c613b0ab46c1e28474d2f70d89e40558e3ff74dd41257581e7d6b0d21799d21e9833c3e9775d88e8b56fd9215b808dd23637802dff17309e09ee2896350528be3568f836c05723100d03a5013914472de1b6d58c03781d9307cd95f6481f80f85e1f0bbd71649e38c684c7b879e41031a646d4591299bc0a9c8a667129641675f36498af6411d7273aa72d568843ae1cc6b9e7a834712e296a560b16768109284f10d07d4857282668ed44cf71e275e0194fe72ba1b9a3bae95d391e4fb1961642025e5f7c82b');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a2248608c8bca9131671f1c5a1e714', 'k-00a78f41', '\xb95c7707747d394e8c8b0632367dd8442c487a32d7de0bff831a01c78e27a3c59be248dae548a32fdcf2941fdc76dcbe5b080c58e72f2095a646619b', '\x8c8419cff2c3f427b742c5a0', '\xd4b2319f19c0ee1e9c34b7fabe7c4659e24d244df4a8214167c16e41395d201470ac1f003ce2727d7997686976731e5ba038e15a2761e925977c67a4fa90b52f0d7f333758857dcca14736f37c4fda53ad5303d68f4a28e16af57e265dc81c77cda57ba66920e2d12a538eb0232d82aa932de0851e7320dd962574ca4281715b997765577c375c658c05c2b8be025b239978f1f808d7c5159b8eca90fda069ef2d9254ece54fdda7b94ccfd9becfaa24371505468bed21541d86efea97f5d69173e0b4c093f2d853970ab58851377429fe7340931365e996ba6e7db35e95f8383b043a9d9f0fe13d49cd7c12dc3c77e3d86f101a0fb7f70fd70aa60d322e329b5f');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a2248608d557051ac594af22f117e5', 'k-00a78f41', '\x2fed86bf8d37c2ab8e3abf768b884541a9cef43fefe4d94a231b53426cf79da14316ab8d80c136855c77dda0cd2d5c525aa663749b2b19285703e5e9', '\xe24281bc51c5377646433386', '\x9ec52a481f0c86a4a86fcc4099192f294db9d7988128ca9c7ae605bddb967c27d2977377947713df0f37141fe026cd51b41488183dd1c137118efd67c4d42a16382343811d25180386f2abec6fc1be0a5f5befeefa525a173d7f5d50ab9e406007c6be814a369c14c144d336d98721fbf7d8ae5c8aa61e208446e8764acd8dfd92d95120020f85156ba7e4072361067d813515424e13faa0fce7483d092e58dad93734a0114041362b612a2fdb5e2768581763d133b741a4b885ea875be6060c48ff3a904c8f4c457c7c791f492134b70ba78a3391b548b617f9bdaf3901202d872e1a39975e86ad1ebab15bbd8b61513b3885c8a7ed6ecf3cf9af0f673e29f1c8');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a2248608e3ab77846bc7752fe57cda', 'k-00a78f41', '\xcf764a2a5788db69724497d3449539c368ecb31ea15eac1627968b7ce8831e495b4bb8f76ddcd765619c80f42b23510a650e111314f57b5f72e86e87', '\x3743a9ec9fe24220c3c09965', '\x4dcdbea5a5cf362e8556dae00e352db723bd84e390a5b420dc1a3c274b1e571502198ac7114202cabdc9a20a2c01b1f0d8940b05f31953e3b0fb23e3ee0250191d8b27fcd3c138a641a0f69bcd28ed9875ee836d2d9b3757ced20b988c23c0f3f4c1ae0b3b48718d65528889bc3f1d369d458ead00f59bb0e428d130299f405787547fbd114b2488c219f4ff620724a68a3c48e2c05a9be1256ecc8c019d6fc6e6939bc53c340525d8522f78b55706bcfeb52dba667974966ce8b8a52c6735eb7a90ab79b866081f7082326558e539de05554e708c77b9961c875ece6b857f5ae49c73d0cc3ddc04db4e631b39057aa1b6cd59ffd8dd6f4768c33bb2694f4cf57a');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a2248608f1ffebf748224fb4cdb7a9', 'k-00a78f41', '\x717a07d2f60dc979c947f837614312bb5e2c2afb643825eb7f6ef61865c37484db85e287b287c3cd7abdd2ef4ceecfedd19b8a0673d09585a61f485f', '\x7430931d807618fa15805e9e', '\x7cf58c62ede563c773f70801803a34c6661bd2d3a8da0e5aafeadb2054c77ee555f1d760329854bc98d8d266275aee26669ee1b3ff0abfdea968aa1b8958a3514fc4ef5f9d90b5b58c57105958020cdad5098a18c30e1b4f5a2d0d36be92cf4a77ea60e6b4c0eec4ba064c18bd1cd93e227b43f1fb76269b13bfb7cf6f620d9989c65741e876bee2f460e6412a89ecd1d6ae911863f31290fccd56befbae5afb0728082774178cb6b4c5f721eaf3a03b2d684929ed4d2acddb1e4ce5d9f60cca8fbf2d0b133de8ff4833c065a460b06f1faebbbe778aa904ee6ad737e6265c6887754862362087ed8664e157534b190d8906bbff8e1adee0e2da6c144df8fbf06e');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a22486091269aa83328070644ba600', 'k-00a78f41', '\x12fa821b6151aed4269dd73f459a25256127e8c94ca220bb6c38cca3930743b5682aa4f27a44fadfd356efa7d6541cc2a76858bda83a81af1288e6a0', '\x233aad259516fc6dc7095c66', '\x42d3ca8eee26fa7f21cfecfeee6dfcd9cfb95f312baa3c804ca6d3edb8a9f58f67f74ab50b7dcd54819e03d5bf0c8206c234e01aaa159568a9efeb4869d75859f9b7b4b9883ed1fbdd33a067018a1a4b45e61e91bd8dba1a91fd08f13c30a7ce8953e1eda9d9218a68525aa3695190525b279fc3975800021cf23723a3f716b44ac855445a6de39ce5532eeaa0e446ea9be1bd2db868c1aa79c902c6b95afed904cd5ae9cf277a6fd9eb16a8d99b733c515733f6ae959c4e9604b4386665d7f41c3b20f72074c97202a96dd369ca7c04e1ce7e78318f42870893ba9442d1c9c331ba465bd504ec988150b5f4f74914b2393fa2498030335bb180a319be9d839fdb');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a224860928824866b0950ac3e343be', 'k-00a78f41', '\xc5c260df25578b73c20e1e0b7eb6890880960e0a0c287f8b4995b1d9375c757f28c17ce33ae164ae8a2633f3b79d6643c3e9bd521d92ae013af559ba', '\x30732429887295f954be99ee', '\x283f1e0987439acd8aba1dde2190973f542c39beaaf7c1a6d31c3ba22d9285f9252a5f36b5f60a3568a5feafe5448f96cdcdea3cdde1cb11d9194ada817a6029c43428b4fef3ac3c4d41b9a353890703debc903009da60afd269c3b1f600fafc77eb63001b547befc9d8fb517e2617993f9ad8c46a4207e0e1b6ad43c2a6ea19ab1aab02f6373e531cb737e2ec8310fa20dd96d8f8f9ec33d0ba9173f9aa6f863d129a7dabe5fea980494cefccda4a95122d8a00a498edcca2bf20edfaff90a1edbd4ea78a60f7719c14468b5d09c04f91cedfb07d4d75c279c2f7370d5cba2cac688468daf7edcaa91d2aa7c9b7f6e00ddd7838f11e9c0fd0316d500d0eaa6a8a');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a2248609341a562db24df98df37d46', 'k-00a78f41', '\xb805faad750637b6a3f6ea46d7936cedc07b0d783dae40f7e3683c95765a9c510f00c5583331b9d3d052e20ac6c9090240aad858feac899880de3082', '\x21fe6c3b9020dd60a4ee0852', '\x0beb7a432fed27b64cb7e565263e894b105b79c50a1d9f0afd8bb2c16bdc92c3f786c7c98e14ecb54998219bdfe46c0b08c6208df60a7027a599117615488bfa9977883b02ffac93a44ca3dcc97804ba372273a7ccd1976dafe39ac75d15cc79c1eff9da91175bb0af3b7d1d731795b72ef2377c5128033cf4562b873ea0ff54bcb7cf299665755bd6ad9b9035c73ae24d6910d5ef12c1331772494157ddde4c3e29e3a35a22cbef8a968e869a2bcd758a9010f1fe698f0923cf38f72d5170fb7bd0b8d130041446f4d9f4242f5b444c845551b45b96cbd66c4920dc6cd1a41976d59e2aa2ada14ee8329c0a831293ded71ada5993b3d86b0285233a4409425d44');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a22486093f7d0b29bdbb0f522277f6', 'k-00a78f41', '\xc4e202f712232672fedb636e567572dc50d883e9da08dcf42cf9e7e3a2145a06c32b4dfce6315f10dd01934b160afa4f0176ff6e45e574329d9c2b71', '\x2887bbcba3fa2947ac508d11', '\x4fbaf70da4331e33ed78bc4b686af84f7bfe140f19ab6adf25ee795520dce2eff0ae331f21f5a0b0fbc708c6381635287a244672dd4bc30e6b230841e5b19064db3463063ae07a5f71a8789fd6b1e3673ed38fbeb1d223742bbca58a3826ee6a989bf0b7e19a41574095ba0920a2e0507cbd49c3186a0a9dd9344faf62fecdf0b34d049c4dcd6cfb9122e274e3a9752046cee09cf94581cd11e024c6a54e969d5803b4e833ed82d0aa67e663e25c5bbfe76631ed6b31cbb3a73e366e282fdf1e64c8cf97b10ae2d12c39afd5890253be0fcd9a8e2a450f5f995a0e51d37143c43c56f56feeeabf48cca9eed8312becea6481b008e60cb13268dd8678b631b8f024');
INSERT INTO public.certcore_secrets VALUES ('module-secret', 'puq_acme/delegation-key', 'k-00a78f41', '\x550ca233fbf067edc4fa1583ef1dd0c64b68a7d21d9aa3b924c33de7c5275966b2b5d05e6e32a9f58eeddd774e1a31af899d0f9953ab49ef7f92a061', '\xbe98ff883ff5bfef037d0a46', '\x8844c59855b625d2834c7fe8bdc54ea61d0e573347264a9a9924a6299b2b74189774c72142d1c1184ece6c2137f87175');
INSERT INTO public.certcore_secrets VALUES ('module-secret', 'puq_acme/account/01a224860921751c03a0f222b325e152/ada11027083641c5/key', 'k-00a78f41', '\x6564ceb78408755038944cadb1073ac57a28aa12f0b3d1dc9b3f4af3b81b214a927c1bd6c00abe25dedd6ed038c6a8d9276ea317dc0250e6aec6e22a', '\x64d3d66a4793e646b918e5a6', '\x2e71f76a48355831f325b1ef18c74f967e0630a3cf862ac5f3556dffcd9616ee2d7d5c57812ec9fe54dc6320bcd2cfaa36206c2070dea1b0c016dbda7d3ba8abff5f5235b7dbc7f156136e3872bfc88e3688a01f80299c0a3f23641c24d2b14060dd73ea4e6746705a31fc11ea5cc522575950ffc2e64e198c0d8f182221da414abd3f1deb49908a134ae079b8d2eca84383fde81ba42666f78cb8d1fd4f4a5c6d2726c474fef38318626cca48010040505e0fb18a10190c7bfe9ab6f064fcfc6b80e38af8b0808b14b74eb3b72b24b2469986a4c4d3b5d53f6ce7eab36d2eba766f3bc25555a84b973e5d984b644015250484394d440b3245fbad4201c6c01626');
INSERT INTO public.certcore_secrets VALUES ('certificate-key', '01a224860ab8ac2346a802caf953e90a', 'k-00a78f41', '\x8ac8aedad7fd6c978652cb47484d573e0b19b0bf1483d0b3a9102ce20b92755ba6987a482fd48259612ffd431caa0894f90862c5a61da811ce5e8c6e', '\xad18edc945225bdd4514290c', '\x84b308d4a7da2a6833545ac355b44e3a4ccb8f108c806fa1f0bb9c767424e48b5143fbdf959bc0aeb9442263626dfe448c6cd89e43eaea9c3df5e839e95731f17df1240000cc3ca584ee454af00f39c0d5000f5e627d65f23688f0071a5a5d58f99993a08965880b4d734b7f7395af4fe78b250acd4c06d3a82d94490ecba3fb82c1527e52b39bf8f4f7233a7195a42fb8800c2a851e8805602e9fb9f8e5e36454fbd44b5037d6112f1cc64516ee2f1310a35ea93ffa9eabefabfc76e8ec628e9718b6ed47f6eed9b90964374507816b33988c02d55c1d8e7754f910ccc5328ebc5e57ec13ae8302357becd4da013031bc4a702a905ccd53647c30e8e4cca184ce');



INSERT INTO public.certcore_timelines VALUES ('01a2248608d11fee7c0df1d54b9dbc8f', 3, '539df8ea20956b118685944e8d5ab171e59df5338c977f07d610ac3d27815afe', 3, NULL, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a2248608ed5a92e578c531607bd99c', 3, '33c615014feb6304eb957d3dbee435936ad4a65611b36cf9d342a2243685444a', 3, NULL, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a22486091a9e52de1996c35c01dfa9', 1, '45f0781a5b796a0ff2152d507d3ba79f7da3726c99a2c9881c0df96d2d4a4c5b', 1, 1795909099213416, '{"moody":{"delivered":0,"attempts":1,"due_at":"2026-11-28T23:38:19.213416+00:00","reason":"it raised RuntimeError."}}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a22486092eb434c9649122ead763a6', 5, '6a7b03a788e1eb5f57847a9639835423a56a4fda36db4a6ddda7066e3c70f9e5', 5, 1795909101113173, '{"moody":{"delivered":0,"attempts":1,"due_at":"2026-11-28T23:38:21.113173+00:00","reason":"it raised RuntimeError."}}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a22486093a04ee067bc46f5e2fb44b', 3, '640c73ff6a4d785fb89c83ec6278db02a01be6f3ff0ebef8bfc688a1c72c61e0', 3, 1795909101845104, '{"moody":{"delivered":0,"attempts":1,"due_at":"2026-11-28T23:38:21.845104+00:00","reason":"it raised RuntimeError."}}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a15687a7fc6317f90ed6292596d3cc', 3, '66515ffbf84b0afe784bab15bc9a9f8b386eca552cb2db740941e797472c9661', 2, 1795909094092432, '{"moody":{"delivered":1,"attempts":1,"due_at":"2026-11-28T23:38:23.324079+00:00","reason":"it raised RuntimeError."}}', '', NULL, 2);
INSERT INTO public.certcore_timelines VALUES ('01a224860acd5ef5c991f662cb9f2f8b', 2, '0c471cc116c187510b386f3542b20d65ce57170796be68f13d74a1aa464d7f17', 0, 1795909094099776, '{}', '', NULL, 0);
INSERT INTO public.certcore_timelines VALUES ('01a2248608df7e95ada71939c0c8eead', 4, 'bcdb23e5a09cfd22d430ce7b4fa6b9b6b0171b52a0dbffcea4c160f46282b029', 3, 1795909094100748, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a15687a806088dfca2e96c71a37237', 6, '50d6047eca2785d21afaa28525709feee2db9d8d2b9553724bc0115b3d3c1fa9', 5, 1795909094111834, '{"moody":{"delivered":3,"attempts":1,"due_at":"2026-11-28T23:38:22.788197+00:00","reason":"it raised RuntimeError."}}', '', NULL, 2);
INSERT INTO public.certcore_timelines VALUES ('01a15687a82393bac9a0e1d726f51210', 4, 'a42624921fdd73a4f2e3d0bdbd06b997508a61176bb1ecef6bc81d19025c4b13', 3, 1795909094117579, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a15687a87f63d537da6e75d05679bf', 5, 'b0862236c6c1785a6d1301517cca39d83c7ecf6c2cfdafb637007bf191ff7112', 4, 1795909094123289, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a15687a895fab295d4d4e9238b39aa', 5, 'a0da528a51aa0b7e1a6056ac13ee548d718aaa760a35d33f2f9c406993831407', 4, 1795909094129027, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a15687a8afc44b171a3a249ba37846', 5, '7e498c96241f94b0f1cbd6faa113fe4d331ceb00841151b25ef8cfeaf06a7811', 4, 1795909094136367, '{}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a2248609124e927216ba51ea51c433', 2, '8a201b03857d6ee09ff356dc0164f61c2a79eba6063d9e59bd106a248a115dc2', 1, 1795909094161160, '{"moody":{"delivered":0,"attempts":1,"due_at":"2026-11-28T23:38:19.606783+00:00","reason":"it raised RuntimeError."}}', '', NULL, 1);
INSERT INTO public.certcore_timelines VALUES ('01a224860922d9a9cb598ed55149e9f5', 9, 'f7f8f60c1476db4fddf8b2f07b3c9c8554809af0def457296e3128520b73b1e9', 8, 1795909094174952, '{"moody":{"delivered":0,"attempts":1,"due_at":"2026-11-28T23:38:23.066237+00:00","reason":"it raised RuntimeError."}}', '', NULL, 1);



SELECT pg_catalog.setval('public.certcore_events_sequence_seq', 60, true);



ALTER TABLE ONLY public.certcore_alembic_version
    ADD CONSTRAINT certcore_alembic_version_pkc PRIMARY KEY (version_num);



ALTER TABLE ONLY public.certcore_authorities
    ADD CONSTRAINT pk_certcore_authorities PRIMARY KEY (id);



ALTER TABLE ONLY public.certcore_certificates
    ADD CONSTRAINT pk_certcore_certificates PRIMARY KEY (id);



ALTER TABLE ONLY public.certcore_documents
    ADD CONSTRAINT pk_certcore_documents PRIMARY KEY (namespace, key);



ALTER TABLE ONLY public.certcore_events
    ADD CONSTRAINT pk_certcore_events PRIMARY KEY (sequence);



ALTER TABLE ONLY public.certcore_issuances
    ADD CONSTRAINT pk_certcore_issuances PRIMARY KEY (id);



ALTER TABLE ONLY public.certcore_names
    ADD CONSTRAINT pk_certcore_names PRIMARY KEY (certificate_id, name);



ALTER TABLE ONLY public.certcore_schedules
    ADD CONSTRAINT pk_certcore_schedules PRIMARY KEY (certificate_id);



ALTER TABLE ONLY public.certcore_secrets
    ADD CONSTRAINT pk_certcore_secrets PRIMARY KEY (purpose, owner_id);



ALTER TABLE ONLY public.certcore_timelines
    ADD CONSTRAINT pk_certcore_timelines PRIMARY KEY (certificate_id);



ALTER TABLE ONLY public.certcore_authorities
    ADD CONSTRAINT uq_certcore_authorities_name UNIQUE (name);



ALTER TABLE ONLY public.certcore_events
    ADD CONSTRAINT uq_certcore_events_certificate_id_number UNIQUE (certificate_id, number);



ALTER TABLE ONLY public.certcore_issuances
    ADD CONSTRAINT uq_certcore_issuances_certificate_id_number UNIQUE (certificate_id, number);



CREATE INDEX ix_certcore_certificates_authority_id_domain_id ON public.certcore_certificates USING btree (authority_id, domain, id);



CREATE INDEX ix_certcore_certificates_created_at_id ON public.certcore_certificates USING btree (created_at, id);



CREATE INDEX ix_certcore_certificates_domain_id ON public.certcore_certificates USING btree (domain, id);



CREATE INDEX ix_certcore_certificates_not_after_id ON public.certcore_certificates USING btree (not_after, id);



CREATE INDEX ix_certcore_certificates_owner_domain_id ON public.certcore_certificates USING btree (owner, domain, id);



CREATE INDEX ix_certcore_certificates_status_domain_id ON public.certcore_certificates USING btree (status, domain, id);



CREATE INDEX ix_certcore_issuances_fingerprint_sha1 ON public.certcore_issuances USING btree (fingerprint_sha1);



CREATE INDEX ix_certcore_issuances_fingerprint_sha256 ON public.certcore_issuances USING btree (fingerprint_sha256);



CREATE INDEX ix_certcore_issuances_serial ON public.certcore_issuances USING btree (serial);



CREATE INDEX ix_certcore_names_name_certificate_id ON public.certcore_names USING btree (name, certificate_id);



CREATE INDEX ix_certcore_names_owner_name_certificate_id ON public.certcore_names USING btree (owner, name, certificate_id);



CREATE INDEX ix_certcore_names_owner_reversed_certificate_id ON public.certcore_names USING btree (owner, reversed, certificate_id);



CREATE INDEX ix_certcore_names_reversed_certificate_id ON public.certcore_names USING btree (reversed, certificate_id);



CREATE INDEX ix_certcore_schedules_due ON public.certcore_schedules USING btree (due_at, lease_until, needed_by, certificate_id);



CREATE INDEX ix_certcore_schedules_lease_until ON public.certcore_schedules USING btree (lease_until);



CREATE INDEX ix_certcore_secrets_key_id ON public.certcore_secrets USING btree (key_id);



CREATE INDEX ix_certcore_timelines_due ON public.certcore_timelines USING btree (due_at, lease_until);



ALTER TABLE ONLY public.certcore_certificates
    ADD CONSTRAINT fk_certcore_certificates_authority_id FOREIGN KEY (authority_id) REFERENCES public.certcore_authorities(id);



ALTER TABLE ONLY public.certcore_issuances
    ADD CONSTRAINT fk_certcore_issuances_certificate_id FOREIGN KEY (certificate_id) REFERENCES public.certcore_certificates(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.certcore_names
    ADD CONSTRAINT fk_certcore_names_certificate_id FOREIGN KEY (certificate_id) REFERENCES public.certcore_certificates(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.certcore_schedules
    ADD CONSTRAINT fk_certcore_schedules_certificate_id FOREIGN KEY (certificate_id) REFERENCES public.certcore_certificates(id) ON DELETE CASCADE;
