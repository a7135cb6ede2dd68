import { notImplemented, ServerError } from '../bson/server-error.js';
import { isDoc, typeName, type Doc, type Value } from '../bson/value.js';
import { compileProjection } from '../query/projection.js';
import { compileExpression, type Variables } from './expression.js';

export type DocStage = (doc: Doc) => Doc;

/** The stages that turn one document into one: also all that an update pipeline may use. Null: another stage. */
export function compileDocStage(name: string, operand: Value, variables: Variables): DocStage | null {
  switch (name) {
    case '$project':
      if (!isDoc(operand)) throw new ServerError(15969, '$project specification must be an object');
      if (operand.size === 0)
        throw new ServerError(
          51272,
          'Invalid $project :: caused by :: projection specification must have at least one field',
        );
      return compileProjection(operand, { stage: '$project', variables });
    case '$set':
    case '$addFields':
      if (!isDoc(operand))
        throw new ServerError(40272, `${name} specification stage must be an object, got ${typeName(operand)}`);
      return compileProjection(operand, { stage: '$addFields', variables });
    case '$unset': {
      const names = Array.isArray(operand) ? operand : [operand];
      if (names.length === 0 || names.some((field) => typeof field !== 'string'))
        throw new ServerError(31002, '$unset specification must be a string or an array of strings');
      return compileProjection(new Map(names.map((field) => [typeof field === 'string' ? field : '', false])), {
        stage: '$project',
        variables,
      });
    }
    case '$replaceWith':
      return replaceWith(operand, variables);
    case '$replaceRoot': {
      const root = isDoc(operand) ? operand.get('newRoot') : undefined;
      if (root === undefined) throw new ServerError(40231, 'no newRoot specified for the $replaceRoot stage');
      return replaceWith(root, variables);
    }
    default:
      return null;
  }
}

function replaceWith(operand: Value, variables: Variables): DocStage {
  const expression = compileExpression(operand);
  return (doc) => {
    const root = expression(doc, variables);
    if (isDoc(root)) return root;
    throw new ServerError(
      40228,
      `'newRoot' expression must evaluate to an object, but resulting value was of type ${root === undefined ? 'missing' : typeName(root)}`,
    );
  };
}

/** The pipeline form of an update. */
export function compilePipeline(stages: readonly Value[], variables: Variables): DocStage {
  const steps = stages.map((stage) => {
    const [name, operand] = stageOf(stage);
    const step = compileDocStage(name, operand, variables);
    if (!step) throw new ServerError(72, `${name} is not allowed to be used within an update`);
    return step;
  });
  return (doc) => steps.reduce((current, step) => step(current), doc);
}

/** The one field of a stage. */
export function stageOf(stage: Value): readonly [string, Value] {
  if (!isDoc(stage)) throw new ServerError(14, "Each element of the 'pipeline' array must be an object");
  const [entry] = stage;
  if (stage.size !== 1 || !entry)
    throw new ServerError(40323, 'A pipeline stage specification object must contain exactly one field.');
  return entry;
}

export function refuseStage(name: string): ServerError {
  return notImplemented(`The aggregation stage ${name}`);
}
