"""One's own avatar: from video clips of a person to a pack. `viseme_train.cli` has the commands."""
