"""Trainings and measurements that several recipes share."""
