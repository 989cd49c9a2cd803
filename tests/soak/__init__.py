"""Load and soak: many threads and tasks on queues that change under way, judged by what the service saw."""
