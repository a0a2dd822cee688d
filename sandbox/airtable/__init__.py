"""Airtable's Web API over HTTP, in memory: a stand-in for development and tests."""
