-- First start, as superuser, in database gad. Passwords come later, from passwords.sql.
CREATE EXTENSION postgis;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
REVOKE ALL ON DATABASE gad FROM PUBLIC;
GRANT CONNECT ON DATABASE gad TO gad_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO gad_app;
ALTER SCHEMA public OWNER TO gad_owner;
-- What migrations create is the owner's; the application reads and writes rows, nothing else.
ALTER DEFAULT PRIVILEGES FOR ROLE gad_owner GRANT USAGE ON SCHEMAS TO gad_app;
ALTER DEFAULT PRIVILEGES FOR ROLE gad_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gad_app;
ALTER DEFAULT PRIVILEGES FOR ROLE gad_owner GRANT USAGE, SELECT ON SEQUENCES TO gad_app;
