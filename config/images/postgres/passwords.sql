-- psql reads the files itself, so a password is in no argument, no environment and no log:
-- the server that runs this logs no statement, not even a failed one.
\set superuser_password `cat /run/gad/secrets/superuser_password`
\set owner_password `cat /run/gad/secrets/owner_password`
\set app_password `cat /run/gad/secrets/app_password`
ALTER ROLE postgres PASSWORD :'superuser_password';
ALTER ROLE gad_owner PASSWORD :'owner_password';
ALTER ROLE gad_app PASSWORD :'app_password';
