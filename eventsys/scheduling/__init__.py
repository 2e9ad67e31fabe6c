"""What happens later: the delayed event scheduler and its poller."""
