"""BackupHandler's modules under their own names, over Keepwatch's core.

A program of BackupHandler goes on working when its imports are changed, for instance
``from src.encryption import encrypt_file`` into
``from keepwatch.compat.backuphandler.encryption import encrypt_file``; likewise for the modules
``manifest``, ``verify``, ``sync``, ``restore`` and ``retention``. Files and manifests are those of
BackupHandler, both ways. What is different on purpose is in ``docs/COMPAT.md``.

New programs are better served by :class:`keepwatch.Repository`, which keeps history, encrypts names
and is safe against what a mirror of files cannot be.
"""
