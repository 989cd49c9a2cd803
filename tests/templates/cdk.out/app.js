const cdk = require('aws-cdk-lib');
const sqs = require('aws-cdk-lib/aws-sqs');
const sns = require('aws-cdk-lib/aws-sns');
const subs = require('aws-cdk-lib/aws-sns-subscriptions');
const iam = require('aws-cdk-lib/aws-iam');
const kms = require('aws-cdk-lib/aws-kms');
const app = new cdk.App({analyticsReporting: false});
class Orders extends cdk.Stack {
  constructor(scope, id, props) {
    super(scope, id, props);
    const dead = new sqs.Queue(this, 'Dead', {encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true});
    const orders = new sqs.Queue(this, 'Orders', {encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, deadLetterQueue: {queue: dead, maxReceiveCount: 3}});
    new sns.Topic(this, 'Placed').addSubscription(new subs.SqsSubscription(orders));
    const open = new sqs.Queue(this, 'Open', {encryption: sqs.QueueEncryption.KMS, encryptionMasterKey: new kms.Key(this, 'Key')});
    open.addToResourcePolicy(new iam.PolicyStatement({sid: 'Anyone', principals: [new iam.AnyPrincipal()], actions: ['sqs:SendMessage'], resources: [open.queueArn]}));
    this.orders = orders;
  }
}
const shop = new cdk.Stage(app, 'Prod', {env: {account: '111122223333', region: 'eu-central-1'}});
new Orders(app, 'Anywhere');
new Orders(shop, 'Orders');
app.synth();
