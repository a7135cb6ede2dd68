import { aggregateCommands } from './aggregate.js';
import { catalogCommands } from './catalog.js';
import type { Command } from './command.js';
import { readCommands } from './read.js';
import { serverCommands } from './server.js';
import { statsCommands } from './stats.js';
import { writeCommands } from './write.js';

export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [serverCommands, readCommands, writeCommands, aggregateCommands, catalogCommands, statsCommands].flatMap((room) =>
    Object.entries(room),
  ),
);

/** Arguments that every command takes. */
export const COMMON_ARGS: ReadonlySet<string> = new Set([
  '$db',
  'lsid',
  '$clusterTime',
  '$readPreference',
  'readConcern',
  'writeConcern',
  'maxTimeMS',
  'comment',
  'apiVersion',
  'apiStrict',
  'apiDeprecationErrors',
  'txnNumber',
  'autocommit',
  'startTransaction',
  '$tenant',
]);

/** Commands of a real server that are refused by name; others do not exist. */
export const REFUSED_COMMANDS: ReadonlySet<string> = new Set(
  'mapReduce mapreduce bulkWrite createSearchIndexes listSearchIndexes dropSearchIndex updateSearchIndex geoSearch convertToCapped cloneCollectionAsCapped createUser updateUser dropUser dropAllUsersFromDatabase createRole grantRolesToUser revokeRolesFromUser rolesInfo saslStart saslContinue authenticate logout fsync fsyncUnlock setParameter setFeatureCompatibilityVersion shutdown compact reIndex profile top currentOp killOp lockInfo dbHash configureFailPoint replSetInitiate replSetReconfig replSetStepDown enableSharding shardCollection planCacheClear planCacheListFilters connPoolStats features logRotate setIndexCommitQuorum dataSize filemd5 getDefaultRWConcern setDefaultRWConcern'.split(
    ' ',
  ),
);

/** Commands of transactions, refused with their own words. */
export const TRANSACTION_COMMANDS: ReadonlySet<string> = new Set([
  'commitTransaction',
  'abortTransaction',
  'prepareTransaction',
]);
