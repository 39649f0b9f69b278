<?php
require __DIR__ . '/../lib/executed.php';
executed('open');
