-- What the classification tests read through: every way in which a harmless-looking name writes.
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 20) AS n;
CREATE UNLOGGED TABLE u (id int);
CREATE SEQUENCE s;
CREATE TABLE written (at timestamptz DEFAULT now());

-- Functions
CREATE FUNCTION wfn() RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT 1 $$;
CREATE FUNCTION wfn1(int) RETURNS int LANGUAGE plpgsql VOLATILE
  AS $$ BEGIN INSERT INTO public.written DEFAULT VALUES; RETURN $1; END $$;
CREATE FUNCTION rfn(int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT count(*)::int FROM t WHERE id <= $1 $$;
CREATE FUNCTION ifn(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 + 1 $$;
CREATE FUNCTION mixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 $$;
CREATE FUNCTION mixed(text) RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT 1 $$;
CREATE FUNCTION defaulted(int DEFAULT nextval('s')::int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT $1 $$;
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT wfn()::bigint; END;
CREATE FUNCTION total(t) RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT $1.id $$;
CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT $1 $$;
CREATE PROCEDURE proc() LANGUAGE sql AS $$ INSERT INTO public.written DEFAULT VALUES $$;

-- Views
CREATE VIEW rview AS SELECT id, v, rfn(id) AS n FROM t;
CREATE VIEW wview AS SELECT wfn() AS n;
CREATE VIEW wview2 AS SELECT n FROM wview WHERE n IN (SELECT id FROM t);
CREATE VIEW seqview AS SELECT nextval('s') AS n;
CREATE VIEW lastview AS SELECT last_value FROM s;
CREATE VIEW lockview AS SELECT id FROM t FOR UPDATE;
CREATE VIEW uview AS SELECT id FROM u;
CREATE VIEW pidview AS SELECT pg_backend_pid() AS pid;
CREATE VIEW activity AS SELECT pid FROM pg_stat_activity;
CREATE VIEW nestedview AS SELECT (SELECT max(x.n) FROM (SELECT CASE WHEN true THEN wfn() END AS n) x) AS n;
CREATE VIEW defaultview AS SELECT defaulted() AS n;
CREATE MATERIALIZED VIEW mv AS SELECT wfn() AS n;

-- Partitions, inheritance, other servers
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE dirty (id int) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE dirty_1 PARTITION OF dirty FOR VALUES FROM (0) TO (10);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE ft (id int) SERVER elsewhere;

-- Operators
CREATE FUNCTION wop(t, t) RETURNS boolean LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT true $$;
CREATE OPERATOR ### (LEFTARG = t, RIGHTARG = t, FUNCTION = wop);
CREATE FUNCTION rop(t, t) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1.id = $2.id $$;
CREATE OPERATOR @@@@ (LEFTARG = t, RIGHTARG = t, FUNCTION = rop);
CREATE VIEW opview AS SELECT a ### b AS n FROM t a, t b;

-- Aggregates
CREATE FUNCTION wstep(int, int) RETURNS int LANGUAGE plpgsql VOLATILE
  AS $$ BEGIN INSERT INTO public.written DEFAULT VALUES; RETURN $1 + $2; END $$;
CREATE AGGREGATE wagg(int) (SFUNC = wstep, STYPE = int, INITCOND = '0');
CREATE AGGREGATE ragg(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE VIEW aggview AS SELECT wagg(id) AS n FROM t;

-- Types and casts
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TYPE pair AS (a int, b int);
CREATE TYPE duo AS (a int, b int);
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE DOMAIN rdomain AS int CHECK (VALUE > 0);
CREATE DOMAIN wdomain AS int CHECK (wfn1(VALUE) >= 0);
CREATE TYPE wpair AS (a wdomain);
CREATE TABLE wtyped (a wdomain);
CREATE VIEW castview AS SELECT v::int::wdomain AS n FROM (VALUES ('1')) AS x (v);
CREATE VIEW arrayview AS SELECT v::wdomain[] AS n FROM (VALUES ('{1}'), ('{2}')) AS x (v);
CREATE TABLE warray (a wdomain[]);
CREATE FUNCTION wcast(mood) RETURNS pair LANGUAGE plpgsql VOLATILE
  AS $$ BEGIN INSERT INTO public.written DEFAULT VALUES; RETURN ROW(1, 2); END $$;
CREATE CAST (mood AS pair) WITH FUNCTION wcast(mood);

-- Row security
CREATE TABLE secret (id int);
INSERT INTO secret VALUES (1);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY counted ON secret FOR SELECT USING (wfn1(id) > 0);
CREATE TABLE tenants (id int, tenant text);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (tenant = current_setting('app.tenant', true));

-- Names
CREATE SCHEMA other;
CREATE TABLE other."Mixed Case" (id int);
CREATE TABLE other.only_here (id int);
CREATE FUNCTION other.safe_here(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 $$;
CREATE FUNCTION safe_here(text) RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO public.written DEFAULT VALUES; SELECT 1 $$;

CREATE ROLE plain LOGIN PASSWORD 'plain';
GRANT SELECT ON ALL TABLES IN SCHEMA public, other TO plain;
GRANT USAGE ON SCHEMA other TO plain;
