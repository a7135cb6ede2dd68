/** Variables that belong to one process alone and must not travel from the shell that ran `up` into the processes it starts. */
const PRIVATE =
  /^(MEMT_(RUN_DIR|LAUNCH|INSTANCE|CONFIG|UNIT)|NODE_CHANNEL_(FD|SERIALIZATION_MODE)|NODE_UNIQUE_ID|NODE_APP_INSTANCE|PM2_.*|pm_.*|npm_lifecycle_.*|_|OLDPWD|SHLVL)$/;

/**
 * What the application's processes get: the shell's variables over .env.<environment> over .env. MEMT_ENV names the environment;
 * NODE_ENV is set when nobody did: `production` in production, else `development`.
 */
export function processEnvironment(
  environment: string,
  envFile: Readonly<Record<string, string>>,
  specialFile: Readonly<Record<string, string>>,
  shell: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const merged: Readonly<Record<string, string | undefined>> = {
    NODE_ENV: environment === 'production' ? 'production' : 'development',
    ...envFile,
    ...specialFile,
    ...shell,
    MEMT_ENV: environment,
  };
  return Object.fromEntries(
    Object.entries(merged).flatMap(([name, value]) =>
      value === undefined || PRIVATE.test(name) ? [] : [[name, value]],
    ),
  );
}
