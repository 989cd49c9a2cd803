"""Many queues, in many accounts and regions: how they are reached, looked at and changed."""
