"""What the package offers to other programs: attacks and audits of any classifier, and results of finished runs."""
