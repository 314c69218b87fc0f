-- People, their sessions, and the log of what was done. Frozen once shipped.

-- A person. `password` is argon2id, empty for who signs in elsewhere (issuer, subject: OpenID Connect) or not yet.
CREATE TABLE account (
    name          text        PRIMARY KEY,  -- what is typed, small letters
    title         text        NOT NULL DEFAULT '',
    role          text        NOT NULL,     -- viewer, operator, editor, admin
    password      text        NOT NULL DEFAULT '',
    issuer        text        NOT NULL DEFAULT '',
    subject       text        NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    password_at   timestamptz,
    last_login_at timestamptz,
    disabled_at   timestamptz
);
CREATE UNIQUE INDEX account_subject ON account (issuer, subject) WHERE issuer <> '';

-- An open session. Ids are random and kept as SHA-256; `previous` is good for a moment after a rotation.
CREATE TABLE session (
    hash       text        PRIMARY KEY,
    previous   text        NOT NULL DEFAULT '',
    name       text        NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    address    text        NOT NULL DEFAULT '',
    agent      text        NOT NULL DEFAULT ''
);
CREATE INDEX session_previous ON session (previous) WHERE previous <> '';
CREATE INDEX session_name ON session (name);

-- A one-time link to choose a password: for `name`, or ('') for whoever becomes the first administrator.
CREATE TABLE invite (
    hash       text        PRIMARY KEY,
    name       text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

-- Browsers an account signed in from before: they have their own count of failures, so nobody else can lock them out.
CREATE TABLE device (
    hash       text        PRIMARY KEY,
    name       text        NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL
);

-- Failures of the last minutes, by what they count against (an account, a device, an address); digests, no names.
CREATE TABLE login_failure (
    bucket text        NOT NULL,
    at     timestamptz NOT NULL
);
CREATE INDEX login_failure_bucket ON login_failure (bucket, at);

-- Logins that are under way at an OpenID provider.
CREATE TABLE oidc_login (
    state      text        PRIMARY KEY,  -- SHA-256
    nonce      text        NOT NULL,
    verifier   text        NOT NULL,
    next       text        NOT NULL,
    created_at timestamptz NOT NULL
);

-- What people and programs did. Each row's hash covers the row and the hash before it (ioc/store/auditlog.py);
-- `audit_head` says where the log ends, so that a cut end is seen as well.
CREATE TABLE audit_log (
    seq      bigint      PRIMARY KEY,  -- without gaps
    at       timestamptz NOT NULL,
    actor    text        NOT NULL,
    role     text        NOT NULL,
    action   text        NOT NULL,
    subject  text        NOT NULL,
    detail   json        NOT NULL,     -- kept letter by letter: the hash covers its text
    address  text        NOT NULL,
    previous text        NOT NULL,
    hash     text        NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at DESC);
CREATE TABLE audit_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint  NOT NULL,
    hash text    NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, '');

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
