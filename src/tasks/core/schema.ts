/** The part of Standard Schema v1 that memt calls: Zod, Valibot, ArkType and others implement it. https://standardschema.dev */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

export type SchemaResult<Out> =
  { readonly value: Out; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly issues: readonly string[] };

/** Without a schema every value passes. Issues come as `path.to.it: message`. */
export async function check<Out>(schema: StandardSchema<unknown, Out> | null, value: unknown): Promise<Checked<Out>> {
  if (schema === null) return { ok: true, value: value as Out };
  const result = await schema['~standard'].validate(value);
  return result.issues ? { ok: false, issues: result.issues.map(lineOf) } : { ok: true, value: result.value };
}

function lineOf(issue: SchemaIssue): string {
  const path = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
